-- Who signs in with a wallet is shown whose users' it is.
CREATE INDEX wallet_links_of_wallet ON wallet_links (wallet);
