//! Who can be asked: tables and adapters of providers.

pub mod compatible;
