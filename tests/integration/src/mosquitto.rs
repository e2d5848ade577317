//! A real broker of MQTT (mosquitto) that can be killed and started again, and a publisher that knows what the broker has taken.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
use rumqttc::v5::{Client, Event, MqttOptions};
use tempfile::TempDir;

use crate::cluster::eventually;
use crate::peers::Peer;

/// Starting the broker on a busy machine, or its taking messages.
const PATIENCE: Duration = Duration::from_secs(60);
/// Messages of a publisher that the broker has not taken yet.
const UNTAKEN_MAX: usize = 200;

/// A broker; killed when dropped.
pub struct Mosquitto {
    root: String,
    folder: TempDir,
    /// Of the listener that takes everybody, and of one more.
    addresses: [SocketAddr; 2],
    process: Option<Child>,
}

impl Mosquitto {
    /// Starts a broker that keeps its sessions; `second` are the lines of its second listener, in which `@` stands for the
    /// broker's folder, where `files` (name and content) are.
    ///
    /// # Errors
    /// Without `apt-get` and `dpkg-deb`, or when it does not come up.
    pub fn start(root: &str, second: &str, files: &[(&str, &str)]) -> Result<Self> {
        let folder = TempDir::new_in(root)?;
        for (name, content) in files {
            fs::write(folder.path().join(name), content)?;
        }
        let addresses = free_ports()?;
        let place = folder.path().display().to_string();
        // As fast as the storage takes it; nothing is saved but when it is asked to, and at its end.
        let settings = format!(
            "user root\nper_listener_settings true\npersistence true\npersistence_location {place}/\n\
             autosave_interval 0\nmax_queued_messages 0\nmax_inflight_messages 100\nlog_dest stderr\n\
             listener {} 127.0.0.1\nallow_anonymous true\nlistener {} 127.0.0.1\n{}\n",
            addresses[0].port(),
            addresses[1].port(),
            second.replace('@', &place)
        );
        fs::write(folder.path().join("mosquitto.conf"), settings)?;
        let mut broker = Self { root: root.to_owned(), folder, addresses, process: None };
        broker.restart()?;
        Ok(broker)
    }

    /// Makes a file of users for a listener: its lines for [`Self::start`] are `password_file @/users`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn users(root: &str, user: &str, password: &str) -> Result<String> {
        let folder = TempDir::new_in(root)?;
        let file = folder.path().join("users");
        let mut tool = Peer::Debian("mosquitto", "usr/bin/mosquitto_passwd").command(root)?;
        let output = tool.args(["-b", "-c"]).arg(&file).args([user, password]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(fs::read_to_string(file)?)
    }

    /// Where everybody is taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// The second listener.
    #[must_use]
    pub fn second(&self) -> SocketAddr {
        self.addresses[1]
    }

    /// The broker's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it where it was, and waits until it listens.
    ///
    /// # Errors
    /// It does not come up.
    pub fn restart(&mut self) -> Result<()> {
        let mut program = Peer::Debian("mosquitto", "usr/sbin/mosquitto").command(&self.root)?;
        let log = File::options().create(true).append(true).open(self.folder.path().join("broker.log"))?;
        program.arg("-c").arg(self.folder.path().join("mosquitto.conf")).stdin(Stdio::null());
        self.process = Some(program.stdout(log.try_clone()?).stderr(log).spawn()?);
        for address in self.addresses {
            eventually(PATIENCE, || {
                let log = || fs::read_to_string(self.folder.path().join("broker.log")).unwrap_or_default();
                TcpStream::connect(address).with_context(|| format!("no broker: {}", log())).map(drop)
            })?;
        }
        Ok(())
    }

    /// Has it save what it knows, and waits until that is done.
    ///
    /// # Errors
    /// It does not run.
    pub fn save(&self) -> Result<()> {
        let file: PathBuf = self.folder.path().join("mosquitto.db");
        let saved = || fs::metadata(&file).and_then(|it| it.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let before = saved();
        self.signal(Signal::SIGUSR1)?;
        eventually(PATIENCE, || {
            ensure!(saved() > before, "the broker has not saved its state");
            Ok(())
        })
    }

    /// kill -9.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.end(Signal::SIGKILL)
    }

    /// SIGTERM, after which it has saved its state.
    ///
    /// # Errors
    /// It does not run.
    pub fn stop(&mut self) -> Result<()> {
        self.end(Signal::SIGTERM)
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        self.signal(signal)?;
        self.process.take().context("the broker runs")?.wait()?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let process = self.process.as_ref().context("the broker runs")?;
        Ok(kill(Pid::from_raw(i32::try_from(process.id())?), signal)?)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if self.process.is_some() {
            // The test says what failed; a broker that has ended by itself needs no killing.
            let _ended = self.kill();
        }
    }
}

/// A connection that publishes; each message once.
pub struct Publisher {
    client: Client,
    taken: Receiver<Result<()>>,
    untaken: usize,
    _reader: JoinHandle<()>,
}

impl Publisher {
    /// Connects to a listener that takes everybody.
    #[must_use]
    pub fn connect(address: SocketAddr, id: &str) -> Self {
        let mut options = MqttOptions::new(id, address.ip().to_string(), address.port());
        options.set_clean_start(true).set_keep_alive(Duration::from_secs(30));
        let (client, mut connection) = Client::new(options, UNTAKEN_MAX);
        let (sender, taken) = sync_channel(4 * UNTAKEN_MAX);
        let reader = std::thread::spawn(move || {
            for event in connection.iter() {
                let told = match event {
                    Ok(Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_))) => Ok(()),
                    // Of QoS 0 there is nothing to wait for but its being sent.
                    Ok(Event::Outgoing(Outgoing::Publish(0))) => Ok(()),
                    Ok(_) => continue,
                    Err(error) => Err(error.into()),
                };
                let failed = told.is_err();
                if sender.send(told).is_err() || failed {
                    return;
                }
            }
        });
        Self { client, taken, untaken: 0, _reader: reader }
    }

    /// Sends a message; waits while too many are not taken.
    ///
    /// # Errors
    /// The connection's end.
    pub fn publish(&mut self, topic: &str, qos: u8, payload: &[u8]) -> Result<()> {
        self.publish_with(topic, qos, false, payload, &[])
    }

    /// The same, kept for those who come later or not, with user properties.
    ///
    /// # Errors
    /// As there.
    pub fn publish_with(
        &mut self,
        topic: &str,
        qos: u8,
        retain: bool,
        payload: &[u8],
        properties: &[(&str, &str)],
    ) -> Result<()> {
        self.wait(UNTAKEN_MAX - 1)?;
        let of = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let user_properties = properties.iter().map(of).collect();
        let properties = PublishProperties { user_properties, ..PublishProperties::default() };
        let qos = match qos {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        };
        self.client.publish_with_properties(topic, qos, retain, payload.to_vec(), properties)?;
        self.untaken += 1;
        Ok(())
    }

    /// Waits until the broker has taken all.
    ///
    /// # Errors
    /// It did not in time.
    pub fn finish(&mut self) -> Result<()> {
        self.wait(0)
    }

    fn wait(&mut self, most: usize) -> Result<()> {
        while self.untaken > most {
            self.taken.recv_timeout(PATIENCE).context("the broker takes messages")??;
            self.untaken -= 1;
        }
        Ok(())
    }
}

/// Two ports that nobody has at the moment.
fn free_ports() -> Result<[SocketAddr; 2]> {
    let (one, two) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok([one.local_addr()?, two.local_addr()?])
}
