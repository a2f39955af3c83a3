//! The first account: an administrator, made once, its generated password told once.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use chrono::Utc;
use domain::users::{Applicant, EmailAddress, RegisterUser, Role, User, UserName, check_password};
use domain::{Decider as _, UserId};
use nats::{CommandMessage, Outcome, Sent};
use uuid::Uuid;

use crate::config::Config;
use crate::node::Node;

/// Fixed, so that of all processes of an installation only one makes it.
const FIRST_ADMIN: Uuid = Uuid::from_u128(0x0197_0000_0000_7000_8000_6f62_6c69_7669);
const DEFAULT_EMAIL: &str = "admin@localhost.localdomain";
const USER_NAME: &str = "admin";
/// Characters of a generated password: about 119 bits.
const PASSWORD_CHARS: usize = 20;
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const PATIENCE: Duration = Duration::from_secs(30);

/// What the console tells about a new administrator.
pub(crate) struct NewAdmin {
    pub(crate) email: String,
    /// Only if it was generated.
    pub(crate) password: Option<String>,
}

/// Makes the first administrator unless there is one; handlers must be running.
///
/// # Errors
/// The configured e-mail address or password cannot be used, or a server is away.
pub(crate) async fn ensure(config: &Config, node: &Node) -> anyhow::Result<Option<NewAdmin>> {
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM events WHERE aggregate_type = $1 AND aggregate_id = $2)")
            .bind(User::TYPE)
            .bind(FIRST_ADMIN.to_string())
            .fetch_one(&node.pool)
            .await?;
    if exists {
        return Ok(None);
    }
    let email = EmailAddress::parse(config.admin_email.as_deref().unwrap_or(DEFAULT_EMAIL))
        .context("OBLIVIOUS_ADMIN_EMAIL cannot be used")?;
    let username = UserName::parse(USER_NAME)?;
    let generated = if config.admin_password.is_none() { Some(new_password()?) } else { None };
    let password = match (&config.admin_password, &generated) {
        (Some(configured), _) => configured.expose().to_owned(),
        (None, Some(generated)) => generated.clone(),
        (None, None) => bail!("there is no password"),
    };
    check_password(&password, &email, &username).context("OBLIVIOUS_ADMIN_PASSWORD cannot be used")?;
    let password_hash = tokio::task::spawn_blocking(move || api::hash_password(&password))
        .await?
        .map_err(|error| anyhow!("the password cannot be hashed: {error}"))?;
    let applicant = Applicant {
        user: UserId::new(FIRST_ADMIN),
        email_key: node.vault.name_hash("email", &email.canonical()),
        username_key: node.vault.name_hash("username", &username.canonical()),
        email: email.clone(),
        username,
        password_hash,
        role: Role::Admin,
        sign_up_grant: config.signup_grant,
        currency: config.currency,
        at: Utc::now(),
    };
    let is_new = register(config, node, applicant).await?;
    Ok(is_new.then(|| NewAdmin { email: email.as_str().to_owned(), password: generated }))
}

/// Waits, for a few seconds at most, until the administrator can sign in: the read model follows the log.
///
/// # Errors
/// The database is away.
pub(crate) async fn wait_until_known(node: &Node) -> anyhow::Result<()> {
    for _ in 0..100 {
        if projections::users::user(&node.pool, FIRST_ADMIN).await?.is_some() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tracing::warn!("the read model of the accounts is behind; the administrator can sign in once it has caught up");
    Ok(())
}

/// Whether this call made the account.
async fn register(config: &Config, node: &Node, applicant: Applicant) -> anyhow::Result<bool> {
    // Of two processes that try at once each has its own command, so only one is told that it succeeded.
    let message = CommandMessage::new(
        (User::CAPABILITY, User::TYPE, "register_user"),
        applicant.user,
        "operator",
        serde_json::to_value(RegisterUser::from(applicant))?,
    );
    match node.commands(config).send(message, PATIENCE).await? {
        Sent::Outcome(Outcome::Done { .. }) => Ok(true),
        Sent::Outcome(Outcome::Refused { code, .. }) if code == "already_registered" => Ok(false),
        Sent::Outcome(Outcome::Refused { message, .. }) => bail!("the administrator cannot be registered: {message}"),
        other => bail!("the administrator cannot be registered now: {other:?}"),
    }
}

fn new_password() -> anyhow::Result<String> {
    let mut password = String::with_capacity(PASSWORD_CHARS);
    while password.len() < PASSWORD_CHARS {
        let mut byte = [0];
        getrandom::fill(&mut byte).map_err(|error| anyhow!("the system gives no randomness: {error}"))?;
        // Bytes past the last whole alphabet would make some letters likelier.
        let whole = 256 / ALPHABET.len() * ALPHABET.len();
        if usize::from(byte[0]) < whole {
            password.push(char::from(ALPHABET[usize::from(byte[0]) % ALPHABET.len()]));
        }
    }
    Ok(password)
}
