// The wallets in this browser, by the Wallet Standard.

const CONNECT = 'standard:connect';
const SEND = 'solana:signAndSendTransaction';

const found = [];

const register = (...wallets) => {
  for (const wallet of wallets) if (wallet.features?.[CONNECT] && wallet.features[SEND] && !found.includes(wallet)) found.push(wallet);
  return () => {};
};

window.addEventListener('wallet-standard:register-wallet', (event) => event.detail?.({ register }));
window.dispatchEvent(new CustomEvent('wallet-standard:app-ready', { detail: { register } }));

/// Those that can sign and send on Solana: each with its name and `send(transaction, cluster)`, which resolves to the signature.
export function wallets() {
  return found.map((wallet) => ({
    name: wallet.name,
    async send(transaction, cluster) {
      const { accounts } = await wallet.features[CONNECT].connect();
      const chain = `solana:${cluster === 'custom' || cluster === 'embedded' ? 'localnet' : cluster}`;
      const [{ signature }] = await wallet.features[SEND].signAndSendTransaction({ account: accounts[0], transaction, chain });
      return signature;
    },
  }));
}
