// An order, and what its user has: node build/balances.js http://127.0.0.1:8080 E001

import { answered, client } from './client.js';

const [base = 'http://127.0.0.1:8080', number = 'E001'] = process.argv.slice(2);
const api = client(base);

const order = await answered(api.GET('/v1/orders/{order}', { params: { path: { order: number }, query: { by: 'number' } } }));
const record = order.records[0];
if (!record) throw new Error(`${number} is no payment`);
console.log(`order ${number}: ${record.amount} paid at ${record.paid_at}`);
for (const outcome of record.outcomes) {
  const granted = outcome.reason === 'Granted' ? `+${outcome.amount} ${outcome.asset_name}` : outcome.reason;
  console.log(`  ${outcome.rule_name}: ${granted}`);
}

const { balances } = await answered(api.GET('/v1/users/{user}/balances', { params: { path: { user: record.user } } }));
for (const { asset_name, balance, debt } of balances) {
  // Amounts can be larger than a number holds exactly.
  console.log(`has ${BigInt(balance)} ${asset_name}${BigInt(debt) > 0n ? `, owes ${debt}` : ''}`);
}

// Whatever is refused says why.
const refused = await api.GET('/v1/orders/{order}', { params: { path: { order: 'no such order' }, query: { by: 'number' } } });
console.log(`an unknown order: ${refused.response.status} ${refused.error?.title}`);
