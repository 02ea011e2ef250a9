// Interrupts as counts. A Ctrl-C in the terminal reaches this process and, where bin/mesa.js had to start a newer Node,
// its launcher too, which hands every SIGINT on as SIGUSR2; a `kill -INT` of either reaches it once. The larger of the
// two counts is how often the user asked. Without a listener the signals keep their default: the process ends.

export interface InterruptListener {
  /** `times` is 1 for the first Ctrl-C, 2 for the second. */
  interrupted(times: number): void;
  terminated(times: number): void;
}

/** Adds an interrupt from the keyboard in raw mode, where Ctrl-C is a key and no signal. */
export type Interrupts = { readonly interrupt: () => void; readonly dispose: () => void };

export const listenForInterrupts = (listener: InterruptListener, launched: boolean): Interrupts => {
  let direct = 0;
  let forwarded = 0;
  let keys = 0;
  let told = 0;
  let terminations = 0;
  const update = (): void => {
    const times = Math.max(direct, forwarded) + keys;
    if (times > told) {
      told = times;
      listener.interrupted(times);
    }
  };
  const onInterrupt = (): void => {
    direct += 1;
    update();
  };
  const onForwarded = (): void => {
    forwarded += 1;
    update();
  };
  const onTerminate = (): void => {
    terminations += 1;
    listener.terminated(terminations);
  };
  process.on('SIGINT', onInterrupt);
  if (launched && process.platform !== 'win32') process.on('SIGUSR2', onForwarded);
  process.on('SIGTERM', onTerminate);
  process.on('SIGHUP', onTerminate);
  return {
    interrupt: () => {
      keys += 1;
      update();
    },
    dispose: () => {
      process.off('SIGINT', onInterrupt);
      process.off('SIGUSR2', onForwarded);
      process.off('SIGTERM', onTerminate);
      process.off('SIGHUP', onTerminate);
    },
  };
};
