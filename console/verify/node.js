// A Solana node, asked by the browser itself.

const PATIENCE = 15_000;

/// A node that cannot be asked, or answers with an error.
export class NodeError extends Error {}

export class Node {
  constructor(url) {
    this.url = url;
  }

  async call(method, ...params) {
    let answer;
    try {
      answer = await fetch(this.url, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
        credentials: 'omit',
        referrerPolicy: 'no-referrer',
        signal: AbortSignal.timeout(PATIENCE),
      }).then((response) => response.json());
    } catch (error) {
      throw new NodeError(`${method}: ${error.message}`);
    }
    if (answer.error) throw new NodeError(`${method}: ${answer.error.message}`);
    return answer.result;
  }

  genesisHash() {
    return this.call('getGenesisHash');
  }

  transaction(signature) {
    const options = { encoding: 'base64', commitment: 'confirmed', maxSupportedTransactionVersion: 1 };
    return this.call('getTransaction', signature, options);
  }

  async account(address) {
    const answer = await this.call('getAccountInfo', address, { encoding: 'base64', commitment: 'confirmed' });
    return answer.value;
  }
}
