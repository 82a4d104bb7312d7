// What is recorded, as it happens: node build/live.js http://127.0.0.1:8080 10 shows the next ten events and ends.

import { answered, client } from './client.js';
import type { components } from './api.d.ts';

type LiveEvent = components['schemas']['LiveEvent'];

const [base = 'http://127.0.0.1:8080', most = '10'] = process.argv.slice(2);

/// Server-sent events (HTML Living Standard, 9.2) of one connection: kind, id and data.
async function* events(url: string, last: string | null) {
  const answer = await fetch(url, { headers: last === null ? {} : { 'Last-Event-ID': last } });
  if (!answer.ok || answer.body === null) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
  let text = '';
  for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const fields = text.slice(0, end).split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trimStart()]);
      text = text.slice(end + 2);
      const all = (name: string) => fields.filter(([field]) => field === name).map(([, value]) => value);
      if (all('data').length > 0) yield { kind: all('event')[0] ?? 'message', id: all('id')[0] ?? null, data: all('data').join('\n') };
    }
  }
}

let [last, seen]: [string | null, number] = [null, 0];
const { items } = await answered(client(base).GET('/v1/orders', { params: { query: { limit: 1 } } }));
console.log(`the latest order so far: ${items[0]?.order ?? 'none'}`);
while (seen < Number(most)) {
  // Whoever comes back with the last id gets what was missed.
  for await (const { kind, id, data } of events(`${base}/v1/live`, last)) {
    last = id ?? last;
    const event = JSON.parse(data) as LiveEvent;
    console.log(`${kind}: ${JSON.stringify(event).slice(0, 120)}`);
    seen += 1;
    if (seen >= Number(most)) process.exit(0);
  }
}
