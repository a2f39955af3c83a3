//! How often one address may try to sign in or register, and one account may call.
//!
//! The generic cell rate algorithm: one moment per key, among those of lately, which cannot grow without bound. Per node;
//! an attacker who spreads over nodes still meets the cost of the password hash.

use std::{
    convert::Infallible,
    hash::Hash,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    extract::{ConnectInfo, FromRef, FromRequestParts},
    http::{HeaderMap, request::Parts},
};

use crate::{lately::Lately, problem::Problem, state::ApiOptions};

/// `burst` at once, and as many again in every `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub burst: u32,
    pub per: Duration,
}

/// Limits sign-ins and registrations.
#[derive(Clone)]
pub(crate) struct Throttle {
    per_ip: Buckets<IpAddr>,
    per_account: Buckets<(IpAddr, String)>,
    trust_forwarded_for: bool,
}

impl Throttle {
    pub(crate) fn new(options: &ApiOptions) -> Self {
        Self {
            per_ip: Buckets::new(options.limits.auth_per_ip),
            per_account: Buckets::new(options.limits.auth_per_account),
            trust_forwarded_for: options.trust_forwarded_for,
        }
    }

    /// Counts one registration or refresh.
    pub(crate) fn admit(&self, client: &ClientAddress) -> Result<(), Problem> {
        self.per_ip.admit(network_of(client.0)).map_err(too_fast)
    }

    /// Counts one attempt at an account, named by the keyed hash of its address.
    pub(crate) fn admit_to(&self, client: &ClientAddress, account: &str) -> Result<(), Problem> {
        self.admit(client)?;
        self.per_account.admit((network_of(client.0), account.to_owned())).map_err(too_fast)
    }
}

fn too_fast(wait: Duration) -> Problem {
    Problem::too_many("too_many_attempts", "too many attempts from your address; wait a moment", wait)
}

/// Whoever has one IPv6 address usually has a whole /64.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & (u128::MAX << 64)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// One bucket a key.
#[derive(Clone)]
struct Buckets<K> {
    quota: Quota,
    all: Arc<Lately<K, Arc<Bucket>>>,
}

/// The most buckets of a kind.
pub(crate) const MAX_BUCKETS: usize = 100_000;

impl<K: Hash + Eq> Buckets<K> {
    fn new(quota: Quota) -> Self {
        // A bucket that was not used for its period is full, as a new one is.
        Self { quota, all: Arc::new(Lately::new(quota.per * 2, MAX_BUCKETS)) }
    }

    fn admit(&self, key: K) -> Result<(), Duration> {
        match self.of(key).take(1).wait {
            Some(wait) => Err(wait),
            None => Ok(()),
        }
    }

    fn of(&self, key: K) -> Arc<Bucket> {
        self.all.get_or_insert_with(key, || Arc::new(Bucket::new(self.quota)))
    }
}

/// What one key may still take: the moment at which its bucket would be full again, in nanoseconds after it was made. One
/// that nobody took from is full.
pub(crate) struct Bucket {
    burst: u32,
    /// Nanoseconds until an empty one is full, and until there is one more.
    per: u64,
    each: u64,
    made: Instant,
    full_at: AtomicU64,
}

impl Bucket {
    pub(crate) fn new(Quota { burst, per }: Quota) -> Self {
        let per = u64::try_from(per.as_nanos()).unwrap_or(u64::MAX / 4);
        let each = (per / u64::from(burst.max(1))).max(1);
        Self { burst, per, each, made: Instant::now(), full_at: AtomicU64::new(0) }
    }

    /// Takes so many, if they are left. More than a full bucket holds are all that it holds.
    pub(crate) fn take(&self, many: u32) -> Taken {
        self.take_at(many, self.made.elapsed())
    }

    /// What is left, without taking any.
    pub(crate) fn look(&self) -> Taken {
        self.take(0)
    }

    fn take_at(&self, many: u32, now: Duration) -> Taken {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX / 4);
        let cost = self.each * u64::from(many.min(self.burst));
        let mut known = self.full_at.load(Ordering::Relaxed);
        loop {
            let full_at = known.max(now);
            let next = full_at + cost;
            if let Some(wait) = next.checked_sub(now + self.per).filter(|wait| *wait > 0) {
                return self.taken(Some(Duration::from_nanos(wait)), full_at - now);
            }
            if cost == 0 {
                return self.taken(None, full_at - now);
            }
            match self.full_at.compare_exchange_weak(known, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return self.taken(None, next - now),
                Err(other) => known = other,
            }
        }
    }

    fn taken(&self, wait: Option<Duration>, reset: u64) -> Taken {
        let left = self.per.saturating_sub(reset) / self.each;
        Taken {
            wait,
            limit: self.burst,
            remaining: u32::try_from(left).unwrap_or(self.burst),
            reset: Duration::from_nanos(reset),
        }
    }
}

/// What taking from a bucket came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// How long to wait before there is one again; `None` if one was taken.
    pub(crate) wait: Option<Duration>,
    /// What the full bucket holds.
    pub(crate) limit: u32,
    /// What is left in it.
    pub(crate) remaining: u32,
    /// When it is full again.
    pub(crate) reset: Duration,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress
where
    Throttle: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let forwarded =
            if Throttle::from_ref(state).trust_forwarded_for { forwarded_for(&parts.headers) } else { None };
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        // Without a peer (a Unix socket, a test) all count as one.
        Ok(Self(forwarded.or(peer).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}

/// The last entry is the one that our own proxy wrote; those before it are the client's word.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?;
    last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_admitted_and_then_one_after_each_share_of_the_period() {
        let start = Duration::ZERO;
        let buckets = Buckets::new(Quota { burst: 3, per: Duration::from_secs(30) });
        let take = |key, many, at| buckets.of(key).take_at(many, at);
        let seconds = Duration::from_secs;
        for left in [2, 1, 0] {
            let reset = seconds(30 - 10 * u64::from(left));
            let taken = Taken { wait: None, limit: 3, remaining: left, reset };
            assert_eq!(take("a", 1, start), taken);
        }
        assert_eq!(take("a", 1, start).wait, Some(seconds(10)));
        assert_eq!(take("b", 1, start).wait, None, "another key has its own bucket");
        assert_eq!(take("a", 1, start + seconds(10)).wait, None);
        assert!(take("a", 1, start + seconds(10)).wait.is_some());
    }

    #[test]
    fn many_are_taken_at_once_or_none_and_more_than_there_ever_are_need_a_full_bucket() {
        let start = Duration::ZERO;
        let buckets = Buckets::new(Quota { burst: 60, per: Duration::from_secs(60) });
        let take = |key, many, at| buckets.of(key).take_at(many, at);
        let seconds = Duration::from_secs;
        assert_eq!(take("a", 50, start).remaining, 10);
        let refused = take("a", 20, start);
        assert_eq!((refused.wait, refused.remaining), (Some(seconds(10)), 10));
        assert_eq!(take("a", 0, start), Taken { wait: None, ..refused }, "looking takes nothing");
        assert_eq!(take("a", 1_000, start).wait, Some(seconds(50)));
        assert_eq!(take("a", 1_000, start + seconds(50)).wait, None);
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let (a, b): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "2001:db8::ffff:2".parse().unwrap());
        assert_eq!(network_of(a), network_of(b));
        assert_eq!(network_of("::ffff:10.0.0.1".parse().unwrap()), "10.0.0.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn only_the_entry_of_the_nearest_proxy_is_believed() {
        let headers = HeaderMap::from_iter([(
            axum::http::HeaderName::from_static("x-forwarded-for"),
            axum::http::HeaderValue::from_static("6.6.6.6, 10.1.2.3"),
        )]);
        assert_eq!(forwarded_for(&headers), "10.1.2.3".parse().ok());
    }
}
