// The Ink tree itself: what it draws of a state, and what its keys do.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { render } from 'ink-testing-library';
import { makeTheme } from '../../ui/theme.ts';
import { App } from '../../ui/tui/App.tsx';
import { initialState, reduceAll } from '../../ui/tui/state.ts';
import { recorded } from './recorded.ts';

const events = recorded('lora-fails');
const theme = makeTheme(false);
const training = events.slice(0, 60);
const now = training.at(-1)?.at ?? 0;

/** Lets Ink's input and effects run: they are queued, not synchronous. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30));

const mount = (interrupt: () => void = () => undefined) =>
  render(
    <App
      state={reduceAll(initialState, training)}
      now={now}
      theme={theme}
      controls={{ interrupt }}
      keyboard
    />,
  );

test('finished steps, running steps, the panel and the keys are all there', () => {
  const { lastFrame, unmount } = mount();
  const frame = lastFrame() ?? '';
  for (const words of ['✔ base', '▶ adapter', 'ETA', 'loss', '╭', '^C stop'])
    assert.ok(frame.includes(words), `${words}\n${frame}`);
  unmount();
});

test('Ctrl-C and q ask for a stop, and nothing ends by itself', async () => {
  let asked = 0;
  const { stdin, lastFrame, unmount } = mount(() => {
    asked += 1;
  });
  await settle();
  stdin.write('\u0003');
  await settle();
  assert.equal(asked, 1);
  stdin.write('q');
  await settle();
  assert.equal(asked, 2);
  assert.ok((lastFrame() ?? '').includes('▶ adapter'));
  unmount();
});

test('keys open and close the panels and move through the steps', async () => {
  const { stdin, lastFrame, unmount } = mount();
  await settle();
  const press = async (key: string): Promise<string> => {
    stdin.write(key);
    await settle();
    return lastFrame() ?? '';
  };
  assert.match(await press('w'), /why +learning_rate/);
  assert.match(await press('l'), /adapter\[r=8\] {2}log/);
  assert.match(await press('?'), /choose a step/);
  assert.doesNotMatch(await press('\u001b'), /choose a step/);
  await press('\u001b[B');
  await press('\u001b[B');
  assert.match(await press('w'), /adapter\[r=16\] {2}lora-train/);
  unmount();
});

test('when the run is over, the live part is gone and the lines stay', () => {
  const { lastFrame, unmount } = render(
    <App
      state={reduceAll(initialState, events)}
      now={now}
      theme={theme}
      controls={{ interrupt: () => undefined }}
      keyboard={false}
    />,
  );
  const frame = lastFrame() ?? '';
  assert.ok(!frame.includes('^C stop'));
  assert.ok(frame.includes('✘ adapter'));
  unmount();
});
