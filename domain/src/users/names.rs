//! What an e-mail address, a user name and a password must look like.
//!
//! Promise: a value of these types obeys its rule, and equal names are equal after normalisation, so that `Ann@X.org`
//! and `ann@x.org` cannot be two accounts.

use thiserror::Error;

/// The most characters of an e-mail address (RFC 5321, 4.5.3.1).
pub const MAX_EMAIL_CHARS: usize = 254;
/// Characters of a user name, at least and at most.
pub const USER_NAME_CHARS: std::ops::RangeInclusive<usize> = 3..=32;
/// Characters of a password, at least and at most (NIST SP 800-63B-4 asks for length, not for character classes).
pub const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=256;

/// A name that cannot be used, with the rule it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidName {
    #[error("the e-mail address must look like name@host.tld and have at most 254 characters")]
    Email,
    #[error("the user name must have 3 to 32 characters: letters of any script, digits, '_', '-' and '.'")]
    UserName,
}

/// A password that is too easy to guess, with the rule it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WeakPassword {
    #[error("the password must have 8 to 256 characters")]
    Length,
    #[error("the password must not be one character or a short piece repeated, nor a plain sequence")]
    Pattern,
    #[error("the password is one of the most common ones; choose another")]
    Common,
    #[error("the password must not contain your e-mail address or user name")]
    ContainsName,
}

/// An address as written, and its form for comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// # Errors
    /// [`InvalidName::Email`] where the text is no deliverable-looking address.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        let (local, host) = text.rsplit_once('@').ok_or(InvalidName::Email)?;
        let host_is_plausible = host.split('.').count() >= 2
            && host.split('.').all(|label| {
                !label.is_empty()
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            });
        let local_is_plausible = !local.is_empty()
            && local.len() <= 64
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
            && local.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c));
        if local_is_plausible && host_is_plausible && text.chars().count() <= MAX_EMAIL_CHARS {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName::Email)
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that decides whether two addresses are the same.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.0.to_lowercase()
    }
}

/// A user name as written, and its form for comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    /// # Errors
    /// [`InvalidName::UserName`] for a length or a character that is not allowed.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        let allowed = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        if allowed && USER_NAME_CHARS.contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName::UserName)
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that decides whether two names are the same.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.0.to_lowercase()
    }
}

/// The most used passwords of eight and more characters in public breach corpora (after the pattern rule).
const COMMON_PASSWORDS: &[&str] = &[
    "password",
    "password1",
    "password12",
    "password123",
    "passw0rd",
    "p@ssw0rd",
    "p@ssword",
    "qwertyuiop",
    "qwerty123",
    "qwerty12",
    "1q2w3e4r",
    "1q2w3e4r5t",
    "1qaz2wsx",
    "q1w2e3r4",
    "zaq12wsx",
    "iloveyou",
    "iloveyou1",
    "sunshine",
    "princess",
    "football",
    "football1",
    "baseball",
    "baseball1",
    "superman",
    "trustno1",
    "starwars",
    "welcome1",
    "welcome123",
    "whatever",
    "computer",
    "internet",
    "michelle",
    "jennifer",
    "samsung1",
    "asdfghjkl",
    "asdf1234",
    "letmein1",
    "letmein123",
    "admin123",
    "administrator",
    "changeme",
    "changeme123",
    "qwer1234",
    "abcd1234",
    "abc12345",
    "a1234567",
    "a12345678",
    "woaini1314",
    "5201314a",
    "woaini520",
    "qq123456",
    "aa123456",
    "q1234567",
    "password!",
    "password1!",
    "monkey123",
    "dragon123",
    "master123",
    "killer123",
    "liverpool",
    "chocolate",
];

/// Whether `password` may protect the account of `email` and `user_name`.
///
/// # Errors
/// The first rule it breaks.
pub fn check_password(password: &str, email: &EmailAddress, user_name: &UserName) -> Result<(), WeakPassword> {
    if !PASSWORD_CHARS.contains(&password.chars().count()) {
        return Err(WeakPassword::Length);
    }
    let folded = password.to_lowercase();
    if is_repetition(&folded) || is_sequence(&folded) {
        return Err(WeakPassword::Pattern);
    }
    if COMMON_PASSWORDS.contains(&folded.as_str()) {
        return Err(WeakPassword::Common);
    }
    let mailbox = email.canonical();
    let mailbox = mailbox.split('@').next().unwrap_or_default();
    let contains_name = |name: &str| name.chars().count() >= 4 && folded.contains(name);
    // A long passphrase that happens to mention the name is still hard to guess.
    let short = folded.chars().count() < 16;
    if short && (contains_name(mailbox) || contains_name(&user_name.canonical())) {
        return Err(WeakPassword::ContainsName);
    }
    Ok(())
}

/// `aaaaaaaa`, `abababab`, `abcabcabc`.
fn is_repetition(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    (1..=3).any(|period| chars.iter().zip(chars.iter().skip(period)).all(|(a, b)| a == b))
}

/// `12345678`, `abcdefgh`, `87654321`; the digit row ends in 0.
fn is_sequence(text: &str) -> bool {
    let steps: Vec<i64> = text
        .chars()
        .zip(text.chars().skip(1))
        .map(|(a, b)| if (a, b) == ('9', '0') { 1 } else { i64::from(u32::from(b)) - i64::from(u32::from(a)) })
        .collect();
    steps.iter().all(|step| *step == 1) || steps.iter().all(|step| *step == -1)
}

#[cfg(test)]
mod spec {
    use super::*;

    fn verdict(password: &str) -> Result<(), WeakPassword> {
        check_password(
            password,
            &EmailAddress::parse("marianne@example.org").unwrap(),
            &UserName::parse("nightingale").unwrap(),
        )
    }

    #[test]
    fn addresses_that_differ_in_case_are_the_same_address() {
        let (a, b) =
            (EmailAddress::parse("Ann@Example.ORG").unwrap(), EmailAddress::parse(" ann@example.org ").unwrap());
        assert_eq!(a.canonical(), b.canonical());
    }

    #[test]
    fn addresses_in_any_script_are_accepted_and_malformed_ones_refused() {
        assert!(EmailAddress::parse("用户@例子.公司").is_ok());
        for bad in ["", "a", "@x.org", "a@", "a@b", "a b@x.org", "a@x..org", ".a@x.org", "a@-x.org", "a@x.org\n.b"] {
            assert_eq!(EmailAddress::parse(bad), Err(InvalidName::Email), "{bad:?}");
        }
    }

    #[test]
    fn user_names_are_three_to_thirty_two_letters_digits_or_joiners() {
        assert!(UserName::parse("小明同学").is_ok());
        assert!(UserName::parse("ann_2.0-x").is_ok());
        for bad in ["ab", "a b c", "a/b/c", "", &"x".repeat(33)] {
            assert_eq!(UserName::parse(bad), Err(InvalidName::UserName), "{bad:?}");
        }
    }

    #[test]
    fn short_patterned_common_and_name_bearing_passwords_are_weak() {
        assert_eq!(verdict("short1!"), Err(WeakPassword::Length));
        assert_eq!(verdict("aaaaaaaaaa"), Err(WeakPassword::Pattern));
        assert_eq!(verdict("abcabcabcabc"), Err(WeakPassword::Pattern));
        assert_eq!(verdict("1234567890"), Err(WeakPassword::Pattern));
        assert_eq!(verdict("hgfedcba"), Err(WeakPassword::Pattern));
        assert_eq!(verdict("PassWord123"), Err(WeakPassword::Common));
        assert_eq!(verdict("marianne77"), Err(WeakPassword::ContainsName));
    }

    #[test]
    fn long_passphrases_pass_without_character_classes() {
        assert_eq!(verdict("correct horse battery staple"), Ok(()));
        assert_eq!(verdict("the nightingale sings at dawn"), Ok(()));
        assert_eq!(verdict("云在青天水在瓶中"), Ok(()));
    }
}
