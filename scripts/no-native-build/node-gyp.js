#!/usr/bin/env node
// better-sqlite3 carries its binaries and says `gypfile: false`, but npm 10 doesn't see that when it installs from a
// lock file: it would call node-gyp and so ask for a compiler. A bin of the project comes first in the PATH of
// install scripts, so npm finds this instead, and nothing is compiled.
