/** Signals to an AbortSignal: the first asks to stop, the second stops at once. */

import { STOP_SIGNALS, type StopReason } from './exit.js';

/**
 * Listens until disposed. The signal's reason is a {@link StopReason}.
 *
 * @param onFirst - told once, to say what will happen
 */
export function stopOnSignals(onFirst: () => void): { signal: AbortSignal; dispose: () => void } {
  const controller = new AbortController();
  const names = Object.keys(STOP_SIGNALS) as (keyof typeof STOP_SIGNALS)[];
  const listeners = names.map((name) => {
    const listener = () => {
      if (controller.signal.aborted) {
        if (name !== 'SIGPIPE') process.exit(STOP_SIGNALS[name]);
        return;
      }
      if (name !== 'SIGPIPE') onFirst();
      controller.abort({ signal: name } satisfies StopReason);
    };
    process.on(name, listener);
    return { name, listener };
  });
  const dispose = () => {
    for (const { name, listener } of listeners) process.off(name, listener);
  };
  return { signal: controller.signal, dispose };
}
