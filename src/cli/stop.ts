/** Signals to an AbortSignal: the first asks to stop, the second stops at once; and one that asks to save. */

import { STOP_SIGNALS, type StopReason } from './exit.js';

/**
 * Listens for SIGUSR2, which asks a run to save and go on; until disposed. Windows has no such signal.
 */
export function saveOnSignal(save: () => void): { dispose: () => void } {
  if (process.platform === 'win32') return { dispose: () => {} };
  process.on('SIGUSR2', save);
  return { dispose: () => process.off('SIGUSR2', save) };
}

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
