//! The peers: the same work as one writes it in Python and in JavaScript, under the runtime clients that AWS publishes
//! for those languages.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use shared::BoxError;

use crate::subject::Subject;

/// What was installed, by the files that say what to install.
const STAMP: &str = "installed";
const REQUIREMENTS: &str = "requirements.txt";
const PACKAGES: &str = "package.json";

/// The peers' programs, installed.
pub(crate) struct Peers {
    folder: PathBuf,
    node: PathBuf,
}

impl Peers {
    /// Installs them in a folder of their own below `scratch`, if they aren't there yet.
    pub(crate) fn install(root: &Path, scratch: &Path, say: impl Fn(&str)) -> Result<Self, BoxError> {
        let folder = scratch.join("peers");
        fs::create_dir_all(&folder)?;
        for file in fs::read_dir(root.join("tools/bench/peers"))? {
            let file = file?;
            fs::copy(file.path(), folder.join(file.file_name()))?;
        }
        let node = node()?;
        let peers = Self { folder, node };
        let wanted = peers.read(REQUIREMENTS)? + &peers.read(PACKAGES)? + &peers.node.to_string_lossy();
        if peers.read(STAMP).is_ok_and(|installed| installed == wanted) {
            return Ok(peers);
        }
        say("installing the peers with pip and npm, which takes a few minutes");
        peers.pip()?;
        peers.npm()?;
        fs::write(peers.folder.join(STAMP), wanted)?;
        Ok(peers)
    }

    /// The authorizers, each with what `ours` is called with and the environment of `base`.
    pub(crate) fn authorizers(&self, base: &Subject, ours: &'static str) -> Vec<Subject> {
        vec![
            self.python(base, "PyJWT", "with_pyjwt", ours),
            self.python(base, "python-jose", "with_python_jose", ours),
            self.javascript(base, "jose", "with_jose", ours),
            self.javascript(base, "jsonwebtoken", "with_jsonwebtoken", ours),
        ]
    }

    /// The sign-in, likewise.
    pub(crate) fn login(&self, base: &Subject, ours: &'static str) -> Subject {
        self.python(base, "boto3, cost 4", "login", ours)
    }

    /// The server of the tutorial, as a command without its port.
    pub(crate) fn tutorial(&self) -> Command {
        let mut command = Command::new(self.python_program());
        command.args(["-m", "uvicorn", "tutorial:app", "--host", "127.0.0.1", "--log-level", "warning"]);
        command.arg("--no-access-log").arg("--app-dir").arg(&self.folder);
        command
    }

    fn python(&self, base: &Subject, name: &'static str, module: &str, ours: &'static str) -> Subject {
        let arguments = ["-m".to_owned(), "awslambdaric".to_owned(), format!("{module}.handler")];
        let mut peer = peer(base, name, self.python_program(), arguments.map(OsString::from).to_vec(), ours);
        peer.environment.insert("PYTHONPATH".to_owned(), self.folder.clone().into());
        peer
    }

    fn javascript(&self, base: &Subject, name: &'static str, module: &str, ours: &'static str) -> Subject {
        let client = self.folder.join("node_modules/aws-lambda-ric/bin/index.mjs");
        let handler = self.folder.join(format!("{module}.handler"));
        peer(base, name, self.node.clone(), vec![client.into(), handler.into()], ours)
    }

    fn python_program(&self) -> PathBuf {
        self.folder.join("venv/bin/python")
    }

    fn pip(&self) -> Result<(), BoxError> {
        let venv = self.folder.join("venv");
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv), "Python 3 with its module venv")?;
        let mut pip = Command::new(venv.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]);
        run(pip.arg(self.folder.join(REQUIREMENTS)), "pip")
    }

    /// A part of aws-lambda-ric is compiled.
    #[expect(clippy::disallowed_methods, reason = "npm shall find the cmake that pip has installed")]
    fn npm(&self) -> Result<(), BoxError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = [self.folder.join("venv/bin")].into_iter().chain(std::env::split_paths(&path));
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"])
            .current_dir(&self.folder)
            .env("PATH", std::env::join_paths(folders)?);
        // Node's own headers, where it has brought them; otherwise they would be fetched.
        let prefix = self.node.parent().and_then(Path::parent);
        if let Some(prefix) = prefix.filter(|prefix| prefix.join("include/node/node_api.h").exists()) {
            npm.env("npm_config_nodedir", prefix);
        }
        run(&mut npm, "npm, with make, a C++ compiler, autoconf, automake, libtool and pkg-config for aws-lambda-ric,")
    }

    fn read(&self, file: &str) -> std::io::Result<String> {
        fs::read_to_string(self.folder.join(file))
    }
}

fn peer(base: &Subject, name: &'static str, command: PathBuf, arguments: Vec<OsString>, ours: &'static str) -> Subject {
    Subject { name, command, arguments, peer_of: Some(ours), limited: false, ..base.clone() }
}

/// The program itself, not what may stand for it in the path.
fn node() -> Result<PathBuf, BoxError> {
    let output = Command::new("node").args(["--print", "process.execPath"]).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(String::from_utf8(output.stdout)?.trim().into()),
        Ok(output) => Err(format!("the peers take Node, which fails here ({})", output.status).into()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err("the peers take Node: install it".into()),
        Err(error) => Err(error.into()),
    }
}

fn run(command: &mut Command, what: &str) -> Result<(), BoxError> {
    // The standard output is for the tables.
    match command.stdin(Stdio::null()).stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("installing the peers takes {what} which fails here ({status})").into()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(format!("installing the peers takes {what}: install it").into())
        }
        Err(error) => Err(error.into()),
    }
}
