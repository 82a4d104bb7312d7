// Tells when something was recorded: by server-sent events where the server has them, else by asking every other second.

import { path } from './api.js';
import { has } from './features.js';

const EVERY = 2_000;

/// What a stream can tell of.
const KINDS = ['payment', 'refund', 'redemption', 'entry', 'block', 'event', 'rule'];

/// A burst of events is one change.
const GATHER = 250;

/// Calls `changed` now and whenever something may have changed, and `state` with `stream`, `polling` or `lost`. What
/// `changed` returns is waited for; where it fails, the connection counts as lost until it succeeds. Ends with `signal`.
export function follow(platform, { changed, state, signal }) {
  let [running, again, way] = [false, false, 'polling'];
  const tell = async () => {
    if (running) {
      again = true;
      return;
    }
    running = true;
    do {
      again = false;
      try {
        await changed();
        if (!signal.aborted) state(way);
      } catch (error) {
        if (!signal.aborted) state('lost', error);
      }
      if (again) await new Promise((resolve) => { setTimeout(resolve, GATHER); });
    } while (again && !signal.aborted);
    running = false;
  };
  let timer = setInterval(tell, EVERY);
  let source;
  const listen = () => {
    source = new EventSource(path('/v1/live', { platform }));
    source.addEventListener('open', () => {
      way = 'stream';
      clearInterval(timer);
      // A stream says nothing of what is compared with the chain meanwhile.
      timer = setInterval(tell, 5 * EVERY);
      tell();
    });
    const heard = () => setTimeout(tell, GATHER);
    source.onmessage = heard;
    for (const kind of KINDS) source.addEventListener(kind, heard);
    source.addEventListener('error', () => {
      if (source.readyState !== EventSource.CLOSED) return;
      way = 'polling';
      clearInterval(timer);
      timer = setInterval(tell, EVERY);
    });
  };
  has('/v1/live').then((there) => there && !signal.aborted && listen());
  signal.addEventListener('abort', () => {
    clearInterval(timer);
    source?.close();
  });
  tell();
}
