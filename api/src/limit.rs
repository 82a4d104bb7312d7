//! How often one client may ask.
//!
//! Each client has a bucket that fills at a steady rate. The buckets are a table of fixed size; a client's is found by a hash
//! with a key of this process's own. So however many clients there are, the memory is the same, and nobody can aim at another's
//! bucket; two clients that share one by chance wait for each other.

use crate::{
    access::bearer,
    problem::{Kind, Problem},
    state::ApiState,
};
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::{StateInformationMiddleware, StateSnapshot},
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, StateStore},
};
use rebate_operators::key::{Key, KeyId};
use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    time::Duration,
};

/// Buckets in a table, of eight bytes each.
const BUCKETS: usize = 1 << 16;

/// How many times more an operator may ask than a client without a key.
const OPERATORS: u32 = 10;

/// How often one client may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second, on and on.
    pub per_second: NonZeroU32,
    /// Requests at once, after a pause.
    pub burst: NonZeroU32,
}

impl Rate {
    fn times(self, factor: u32) -> Self {
        let times = |number: NonZeroU32| number.saturating_mul(NonZeroU32::new(factor).unwrap_or(NonZeroU32::MIN));
        Self { per_second: times(self.per_second), burst: times(self.burst) }
    }

    fn quota(self) -> Quota {
        Quota::per_second(self.per_second).allow_burst(self.burst)
    }
}

/// Who shares a bucket.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Client {
    /// An address; of IPv6, the /64 that one household or server has.
    Address(IpAddr),
    /// An operator's key.
    Operator(KeyId),
}

/// A table of buckets.
struct Buckets {
    hasher: RandomState,
    table: Box<[InMemoryState]>,
}

impl Buckets {
    fn new() -> Self {
        Self { hasher: RandomState::new(), table: (0..BUCKETS).map(|_| InMemoryState::default()).collect() }
    }
}

impl StateStore for Buckets {
    type Key = Client;

    fn measure_and_replace<T, F, E>(&self, client: &Client, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let hash = usize::try_from(self.hasher.hash_one(client) % BUCKETS as u64).unwrap_or_default();
        match self.table.get(hash) {
            Some(bucket) => bucket.measure_and_replace(&NotKeyed::NonKey, f),
            None => f(None).map(|(result, _)| result),
        }
    }
}

type Limiter = RateLimiter<Client, Buckets, DefaultClock, StateInformationMiddleware>;

/// The limits of all clients.
pub(crate) struct Limits {
    /// Of clients without a key.
    clients: Limiter,
    /// Of operators' keys; and of the addresses that try keys.
    operators: Limiter,
}

/// How a bucket stands.
struct Standing {
    burst: u32,
    remaining: u32,
    /// Until there is room for one more; nothing where there is.
    wait: Option<Duration>,
    per_second: f64,
}

impl Limits {
    /// Limits at this rate.
    pub(crate) fn new(rate: Rate) -> Self {
        let limiter = |rate: Rate| Limiter::new(rate.quota(), Buckets::new(), DefaultClock::default());
        Self { clients: limiter(rate), operators: limiter(rate.times(OPERATORS)) }
    }

    fn check(limiter: &Limiter, client: &Client) -> Standing {
        let rate = |quota: Quota| 1.0 / quota.replenish_interval().as_secs_f64();
        match limiter.check_key(client) {
            Ok(snapshot) => {
                let snapshot: StateSnapshot = snapshot;
                let quota = snapshot.quota();
                let remaining = snapshot.remaining_burst_capacity();
                Standing { burst: quota.burst_size().get(), remaining, wait: None, per_second: rate(quota) }
            }
            Err(refused) => Standing {
                burst: refused.quota().burst_size().get(),
                remaining: 0,
                wait: Some(refused.wait_time_from(limiter.clock().now())),
                per_second: rate(refused.quota()),
            },
        }
    }
}

pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

impl Standing {
    /// As draft-ietf-httpapi-ratelimit-headers has it.
    fn write(&self, headers: &mut HeaderMap) {
        let full = |missing: u32| (f64::from(missing) / self.per_second).ceil().max(1.0);
        let policy = format!("\"client\";q={};w={:.0}", self.burst, full(self.burst));
        let until = full(self.burst.saturating_sub(self.remaining));
        let now = format!("\"client\";r={};t={until:.0}", self.remaining);
        for (name, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, now)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
    }
}

/// Who asks, as far as the connection tells. Behind `proxies` proxies of our own, the client is who the outermost of them saw.
pub(crate) fn address(headers: &HeaderMap, extensions: &Extensions, proxies: usize) -> IpAddr {
    let peer = extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
    let Some(back) = proxies.checked_sub(1) else { return peer };
    // What the client itself wrote there stands to the left of what our proxies added.
    let mut forwarded: Vec<&str> = Vec::new();
    for value in headers.get_all("x-forwarded-for") {
        forwarded.extend(value.to_str().unwrap_or_default().split(',').map(str::trim));
    }
    let seen = forwarded.iter().rev().nth(back).copied().unwrap_or_default();
    seen.parse().or_else(|_| seen.parse().map(|seen: SocketAddr| seen.ip())).unwrap_or(peer)
}

/// The part of an address that one client has to itself.
fn own(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        four => four,
    }
}

/// Answers 429 where the client asked too often, and else says how often it still may.
pub(crate) async fn limit(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let Some(limits) = state.limits() else { return next.run(request).await };
    let address = own(address(request.headers(), request.extensions(), state.settings().trusted_proxies));
    let standing = standing(&state, limits, address, request.headers()).await;
    let mut response = match standing.wait {
        None => next.run(request).await,
        Some(wait) => {
            // Up, so that there is room then.
            let seconds = wait.as_secs_f64().ceil().max(1.0);
            let detail = format!(
                "more requests than one client may make, which is {} at once and {:.0} a second; try again in {seconds:.0} s",
                standing.burst, standing.per_second
            );
            let after = [(header::RETRY_AFTER, format!("{seconds:.0}"))];
            (after, Problem::new(Kind::RateLimited, detail)).into_response()
        }
    };
    standing.write(response.headers_mut());
    response
}

async fn standing(state: &ApiState, limits: &Limits, address: IpAddr, headers: &HeaderMap) -> Standing {
    let client = Client::Address(address);
    let operators = state.access().operators.as_ref();
    let key = operators.and_then(|pool| Some((pool, bearer::given(headers)?)));
    let Some((pool, text)) = key.filter(|(_, text)| Key::read(text).is_some()) else {
        return Limits::check(&limits.clients, &client);
    };
    // Trying keys is work for the database, so that has a limit, too.
    let tried = Limits::check(&limits.operators, &client);
    if tried.wait.is_some() {
        return tried;
    }
    match rebate_operators::keys::authenticate(pool, text).await {
        Ok(Some(identity)) => Limits::check(&limits.operators, &Client::Operator(identity.id)),
        // What it is answered with is the handler's matter.
        Ok(None) | Err(_) => Limits::check(&limits.clients, &client),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&'static str], proxies: usize) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(value));
        }
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        address(&headers, &extensions, proxies).to_string()
    }

    #[test]
    fn what_a_client_says_of_its_address_counts_for_nothing() {
        assert_eq!(seen("10.0.0.1", &["1.1.1.1"], 0), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 2.2.2.2"], 1), "2.2.2.2");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1", "2.2.2.2, 3.3.3.3"], 2), "2.2.2.2");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 2.2.2.2:4711"], 1), "2.2.2.2");
        // Who came past a proxy, or through one that does not say.
        for (forwarded, proxies) in [(&[][..], 1), (&["1.1.1.1"], 2), (&["1.1.1.1, nonsense"], 1), (&["1.1.1.1,"], 1)] {
            assert_eq!(seen("10.0.0.1", forwarded, proxies), "10.0.0.1", "{forwarded:?}");
        }
    }

    #[test]
    fn one_client_is_one_however_many_addresses_it_has_of_ipv6() {
        let own = |text: &str| own(text.parse().unwrap()).to_string();
        assert_eq!(own("2001:db8:1:2:3:4:5:6"), own("2001:db8:1:2:ffff::1"));
        assert_ne!(own("2001:db8:1:2::1"), own("2001:db8:1:3::1"));
        assert_eq!(own("::ffff:10.1.2.3"), "10.1.2.3");
    }

    #[test]
    fn a_bucket_is_empty_after_its_burst_and_others_are_not() {
        let number = |number| NonZeroU32::new(number).unwrap();
        let limits = Limits::new(Rate { per_second: number(1), burst: number(5) });
        let client = |last| Client::Address(IpAddr::from([10, 0, 0, last]));
        let mut passed = 0;
        while Limits::check(&limits.clients, &client(1)).wait.is_none() {
            passed += 1;
        }
        assert!((5..=6).contains(&passed), "{passed}");
        let free = (2..=100).filter(|last| Limits::check(&limits.clients, &client(*last)).wait.is_none()).count();
        assert!(free >= 98, "{free} of 99 have a bucket of their own");
    }
}
