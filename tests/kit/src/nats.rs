//! An own NATS server with JetStream for one test, which the test may stop, kill and start again.

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::nats_server::{Nats, Options};

/// A private server; its port and its streams survive `stop`, `kill` and `start_again`, not the drop.
#[derive(Debug)]
pub struct TestNats {
    /// Without credentials; the same after `start_again`.
    pub url: String,
    /// Connected to this server; reconnects by itself after `start_again`.
    pub client: async_nats::Client,
    server: Nats,
    options: Options,
    /// Holds the store; deleted on drop.
    _directory: TempDir,
}

/// Starts a server on a free port.
///
/// # Panics
/// The kit is missing, or the server does not start.
pub async fn nats() -> TestNats {
    let kit = crate::kit::Kit::find().unwrap_or_else(|error| panic!("{error:#}: {}", crate::HOW));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let options = Options {
        program: kit.nats_server,
        directory: directory.path().to_owned(),
        run_as: None,
        password: None,
        port: 0,
    };
    let server = Nats::start(&options).await.expect("nats-server starts");
    let client = async_nats::connect(&server.url).await.expect("the new server accepts a client");
    let options = Options { port: server.port, ..options };
    TestNats { url: server.url.clone(), client, server, options, _directory: directory }
}

/// The server's program, for a test with a configuration of its own.
///
/// # Panics
/// The kit is missing.
#[must_use]
pub fn nats_server_program() -> std::path::PathBuf {
    crate::kit::Kit::find().unwrap_or_else(|error| panic!("{error:#}: {}", crate::HOW)).nats_server
}

impl TestNats {
    /// Ends the server in order.
    pub async fn stop(&mut self) {
        self.server.stop().await;
    }

    /// Ends the server like a crash: nothing is flushed or said good-bye to.
    pub async fn kill(&mut self) {
        self.server.child.signal(Signal::SIGKILL);
        self.server.child.ended().await;
    }

    /// Stops it in its tracks: connections stay and nobody answers.
    pub fn pause(&self) {
        self.server.child.signal(Signal::SIGSTOP);
    }

    /// It goes on where it was.
    pub fn resume(&self) {
        self.server.child.signal(Signal::SIGCONT);
    }

    /// Starts the server on the same port and streams.
    ///
    /// # Panics
    /// Something else took the port meanwhile.
    pub async fn start_again(&mut self) {
        self.server.stop().await;
        self.server = Nats::start(&self.options).await.expect("nats-server starts again on its port");
    }
}

impl Drop for TestNats {
    fn drop(&mut self) {
        self.server.child.signal(Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use async_nats::jetstream;

    #[tokio::test]
    async fn a_stream_survives_a_crash_of_the_server() {
        let mut nats = super::nats().await;
        let context = jetstream::new(nats.client.clone());
        let config =
            jetstream::stream::Config { name: "KEPT".into(), subjects: vec!["kept".into()], ..Default::default() };
        context.create_stream(config).await.expect("the stream is made");
        context.publish("kept", "once".into()).await.expect("sent").await.expect("stored");

        nats.kill().await;
        nats.start_again().await;

        let client = async_nats::connect(&nats.url).await.expect("the same address answers");
        let mut stream = jetstream::new(client).get_stream("KEPT").await.expect("the stream is there");
        assert_eq!(stream.info().await.expect("its state").state.messages, 1);
    }
}
