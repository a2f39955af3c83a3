//! What may be counted: `bench/instructions.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    /// A share of the limit that may be taken besides: other libraries of the system count a little differently.
    margin: f64,
    figures: BTreeMap<String, Figure>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Figure {
    limit: u32,
    /// What the design wants; missing it fails nothing.
    aim: Option<u32>,
}

/// How a figure compares.
#[derive(Debug)]
pub(super) struct Verdict {
    name: String,
    counted: f64,
    most: f64,
    figure: Figure,
}

impl Limits {
    /// The committed ones.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn read() -> anyhow::Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(toml::from_str(&text)?)
    }

    /// One verdict for each figure.
    ///
    /// # Errors
    /// A figure has no limit.
    pub(super) fn compare(&self, found: &[(&str, f64)]) -> anyhow::Result<Vec<Verdict>> {
        let verdict = |(name, counted): &(&str, f64)| {
            let figure = self.figures.get(*name).with_context(|| format!("bench/instructions.toml has no `{name}`"))?;
            let most = f64::from(figure.limit) * (1.0 + self.margin);
            anyhow::Ok(Verdict { name: (*name).to_owned(), counted: *counted, most, figure: figure.clone() })
        };
        found.iter().map(verdict).collect()
    }
}

impl Verdict {
    pub(super) fn is_within(&self) -> bool {
        self.counted <= self.most
    }

    /// For a table.
    pub(super) fn row(&self) -> Vec<String> {
        let aim = self.figure.aim.map_or_else(|| "–".to_owned(), |aim| aim.to_string());
        let within = if self.is_within() { "yes" } else { "**no**" };
        vec![self.name.clone(), format!("{:.0}", self.counted), self.figure.limit.to_string(), aim, within.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_limit_and_its_margin_fails() {
        let limits: Limits = toml::from_str("margin = 0.1\n[figures.x]\nlimit = 100\naim = 10\n").unwrap();
        let within = |counted| limits.compare(&[("x", counted)]).unwrap()[0].is_within();
        assert!(within(90.0) && within(109.9) && !within(110.1));
        assert!(limits.compare(&[("y", 1.0)]).is_err(), "a figure without a limit is no figure");
    }

    #[test]
    fn the_committed_limits_can_be_read() {
        assert!(Limits::read().unwrap().margin < 0.2);
    }
}
