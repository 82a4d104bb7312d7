// Tells when something was recorded: by server-sent events where the server has them, else by asking every other second.

import { path } from './api.js';
import { has } from './features.js';

const EVERY = 2_000;

/// What a stream can tell of.
const KINDS = ['payment', 'refund', 'redemption', 'claim', 'expiry', 'wallet', 'rule', 'platform', 'reverted'];

/// A burst of events is one change.
const GATHER = 250;

/// Calls `changed` now and whenever something may have changed, and `state` with `stream`, `polling` or `lost`. What
/// `changed` returns is waited for; where it fails, the connection counts as lost until it succeeds. Nothing is listened to
/// before it says that there is a platform. Ends with `signal`.
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
        const isThere = await changed();
        if (!signal.aborted) state(way);
        if (isThere) listen();
      } catch (error) {
        if (!signal.aborted) state('lost', error);
      }
      if (again) await new Promise((resolve) => { setTimeout(resolve, GATHER); });
    } while (again && !signal.aborted);
    running = false;
  };
  let timer = setInterval(tell, EVERY);
  let [source, isAsked] = [undefined, false];
  const listen = async () => {
    if (isAsked) return;
    isAsked = true;
    if (!(await has('/v1/live')) || signal.aborted) return;
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
  signal.addEventListener('abort', () => {
    clearInterval(timer);
    source?.close();
  });
  tell();
}
