//! What a failed try says about the channel, its key and its model, and what the request may do next.
//!
//! A table from [`RelayError`]; nothing else here knows errors of providers.

use std::time::Duration;

use relay::{RelayError, VOID_KEY};

/// What a failure tells against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The request, or us; the upstream is as healthy as before.
    Nobody,
    /// The upstream as it was asked for this model: its model breaker opens first, and the whole channel's when other
    /// models fail too.
    Upstream,
    /// The whole channel, whatever is asked of it.
    Channel,
    /// The key that was used; the channel where it has none.
    Key,
    /// This model of this channel.
    Model,
}

/// How much a failure weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// One of several in a row.
    Counts,
    /// The same request failed there before: one request that breaks an upstream does not shut it for everybody.
    Repeats,
    /// Enough by itself.
    Opens,
    /// The key will not work again until somebody changes it.
    Kills,
}

/// What the request may do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nobody could serve it.
    GiveUp,
    /// Another candidate may.
    Another,
    /// Only a model that reads more.
    LargerContext,
    /// Only a model of another provider's policy.
    OtherPolicy,
}

/// A failed try, judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub blame: Blame,
    pub weight: Weight,
    pub next: Next,
    /// How long the provider asks us to wait.
    pub retry_after: Option<Duration>,
}

/// Codes by which providers say that the content is not for them.
const POLICY: [&str; 6] = [
    "content_policy_violation",
    "content_filter",
    "responsibleaipolicyviolation",
    "data_inspection_failed",
    "moderation_blocked",
    "sensitive",
];

impl Fault {
    /// What `error` says.
    #[must_use]
    pub fn of(error: &RelayError) -> Self {
        use {Blame as B, Next as N, Weight as W};
        let fault = |blame, weight, next| Self { blame, weight, next, retry_after: error.retry_after() };
        match error {
            // Whoever says when to come back is not asked before.
            RelayError::UpstreamUnavailable { retry_after: Some(_), .. } => fault(B::Upstream, W::Opens, N::Another),
            RelayError::UpstreamUnavailable { retry_after: None, .. }
            | RelayError::UpstreamGarbage(_)
            | RelayError::UpstreamCut
            | RelayError::TimedOut(_) => fault(B::Upstream, W::Counts, N::Another),
            RelayError::UpstreamRateLimited { retry_after: Some(_) } => fault(B::Key, W::Opens, N::Another),
            RelayError::UpstreamRateLimited { retry_after: None } => fault(B::Key, W::Counts, N::Another),
            RelayError::UpstreamRefused { status, code, .. } => {
                let code = code.as_deref().unwrap_or_default().to_ascii_lowercase();
                match status {
                    401 | 403 if code == VOID_KEY => fault(B::Key, W::Kills, N::Another),
                    _ if POLICY.contains(&code.as_str()) => fault(B::Nobody, W::Counts, N::OtherPolicy),
                    401 | 403 => fault(B::Key, W::Counts, N::Another),
                    // No credit left there: it comes back when somebody pays.
                    402 | 429 => fault(B::Key, W::Opens, N::Another),
                    404 | 410 => fault(B::Model, W::Opens, N::Another),
                    300..=399 | 407 => fault(B::Channel, W::Opens, N::Another),
                    _ => fault(B::Nobody, W::Counts, N::GiveUp),
                }
            }
            RelayError::UnknownModel(_) => fault(B::Model, W::Opens, N::Another),
            RelayError::ModelMissing(_) | RelayError::LocalFailure(_) | RelayError::Misconfigured(_) => {
                fault(B::Channel, W::Opens, N::Another)
            }
            RelayError::Busy => fault(B::Nobody, W::Counts, N::Another),
            RelayError::ContextTooLong => fault(B::Nobody, W::Counts, N::LargerContext),
            RelayError::NoHealthyChannel { .. } => fault(B::Nobody, W::Counts, N::Another),
            RelayError::Cancelled => fault(B::Nobody, W::Counts, N::GiveUp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> Fault {
        let code = Some(code.to_owned()).filter(|code| !code.is_empty());
        Fault::of(&RelayError::UpstreamRefused { status, message: "no".into(), code, param: None })
    }

    #[test]
    fn a_key_is_dead_only_where_the_provider_says_so_in_words() {
        for status in [401, 403] {
            let fault = refused(status, VOID_KEY);
            assert_eq!((fault.blame, fault.weight, fault.next), (Blame::Key, Weight::Kills, Next::Another));
        }
        assert_eq!(refused(401, "").weight, Weight::Counts, "a proxy's bare 401");
        assert_eq!(refused(400, "invalid_api_key").blame, Blame::Nobody);
    }

    #[test]
    fn a_model_that_the_upstream_does_not_have_tells_against_this_model_only() {
        let fault = refused(404, "model_not_found");
        assert_eq!((fault.blame, fault.weight, fault.next), (Blame::Model, Weight::Opens, Next::Another));
    }

    #[test]
    fn a_request_that_is_wrong_is_wrong_everywhere() {
        for status in [400, 413, 422] {
            assert_eq!((refused(status, "").blame, refused(status, "").next), (Blame::Nobody, Next::GiveUp));
        }
    }

    #[test]
    fn content_and_length_lead_to_other_models_and_blame_nobody() {
        let filtered = refused(400, "content_filter");
        assert_eq!((filtered.blame, filtered.next), (Blame::Nobody, Next::OtherPolicy));
        let long = Fault::of(&RelayError::ContextTooLong);
        assert_eq!((long.blame, long.next), (Blame::Nobody, Next::LargerContext));
    }

    #[test]
    fn a_named_pause_opens_at_once_and_is_kept() {
        let wait = Some(Duration::from_secs(7));
        let fault = Fault::of(&RelayError::UpstreamRateLimited { retry_after: wait });
        assert_eq!((fault.blame, fault.weight, fault.retry_after), (Blame::Key, Weight::Opens, wait));
        let bare = Fault::of(&RelayError::UpstreamRateLimited { retry_after: None });
        assert_eq!(bare.weight, Weight::Counts);
    }
}
