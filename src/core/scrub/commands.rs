//! Which options of which commands are given secrets.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What an option is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    /// The secret, joined to the option or after it.
    Secret,
    /// The secret, joined to the option.
    Joined,
    /// Who, and after one of these the secret.
    After(&'static [u8]),
    /// Cookies, if there is one in it.
    Cookie,
}

use Gives::{After, Cookie, Joined, Secret};

/// A command, or several that take the same options.
#[derive(Debug)]
pub(super) struct Command {
    names: &'static [&'static str],
    /// Options that are given nothing, so that others may stand behind them in one word.
    pub(super) plain: &'static [u8],
    /// Options that are given secrets.
    pub(super) options: &'static [(u8, Gives)],
}

const fn of(names: &'static [&'static str], plain: &'static [u8], options: &'static [(u8, Gives)]) -> Command {
    Command { names, plain, options }
}

impl Command {
    /// Whether it is the one of this name.
    pub(super) fn is(&self, name: &str) -> bool {
        self.names.contains(&name)
    }
}

static COMMANDS: &[Command] = &[
    of(
        &["curl"],
        b"#012346BGIJLMNOSZafgijklnpqsv",
        &[(b'u', After(b":")), (b'U', After(b":")), (b'E', After(b":")), (b'b', Cookie)],
    ),
    of(&["http", "https", "xh", "xhs"], b"bdfhjv", &[(b'a', After(b":"))]),
    of(
        &[
            "mysql",
            "mysqldump",
            "mysqladmin",
            "mysqlimport",
            "mysqlshow",
            "mysqlcheck",
            "mysqlslap",
            "mysqlbinlog",
            "mysqlpump",
            "mysql_upgrade",
            "mariadb",
            "mariadb-dump",
            "mariadb-admin",
            "mariadb-check",
            "mycli",
            "xtrabackup",
            "mariabackup",
        ],
        b"ABCEGHKLNTUXbcfinqrstvw",
        &[(b'p', Joined)],
    ),
    of(&["sshpass"], b"v", &[(b'p', Secret)]),
    of(&["redis-cli", "valkey-cli"], b"cx", &[(b'a', Secret)]),
    of(
        &["mongo", "mongosh", "mongodump", "mongorestore", "mongoexport", "mongoimport", "mongostat", "cqlsh", "cypher-shell"],
        b"v",
        &[(b'p', Secret)],
    ),
    // After these words, of whichever command they are.
    of(&["login"], b"", &[(b'p', Secret), (b't', Secret)]),
    of(
        &["sqlcmd", "bcp", "osql", "tsql", "mosquitto_pub", "mosquitto_sub", "ipmitool", "fence_ipmilan"],
        b"v",
        &[(b'P', Secret)],
    ),
    of(&["zip", "unzip"], b"rqojmvX9", &[(b'P', Secret)]),
    of(&["7z", "7za", "7zr", "rar", "unrar"], b"h", &[(b'p', Joined)]),
    of(&["ldapsearch", "ldapadd", "ldapmodify", "ldapdelete", "ldapwhoami", "ldapcompare"], b"xZLnvcM", &[(b'w', Secret)]),
    of(&["ldappasswd"], b"xZnv", &[(b'w', Secret), (b's', Secret), (b'a', Secret)]),
    of(&["smbclient", "rpcclient", "smbget", "smbpasswd"], b"gqNL", &[(b'U', After(b"%"))]),
    of(&["snmpwalk", "snmpget", "snmpset", "snmpbulkwalk", "snmptrap"], b"", &[(b'c', Secret), (b'A', Secret), (b'X', Secret)]),
    of(
        &["useradd", "usermod", "groupadd", "xfreerdp", "rdesktop", "vncviewer", "clickhouse-client"],
        b"morsMU",
        &[(b'p', Secret)],
    ),
    of(&["ab", "wrk", "hey"], b"kqdv", &[(b'A', After(b":")), (b'P', After(b":")), (b'a', After(b":"))]),
    of(&["lftp", "ncftp"], b"", &[(b'u', After(b",")), (b'p', Secret)]),
    of(&["openssl", "keytool", "jarsigner"], b"", &[(b'k', Secret)]),
    // Its properties are words (`words.rs`).
    of(&["nmcli"], b"", &[]),
    // These have other uses for the same letters.
    of(
        &[
            "docker",
            "podman",
            "nerdctl",
            "kubectl",
            "ssh",
            "scp",
            "rsync",
            "sudo",
            "git",
            "ps",
            "id",
            "chown",
            "cp",
            "mkdir",
            "nmap",
            "iptables",
            "psql",
            "tar",
            "su",
            "ls",
            "cat",
            "grep",
            "find",
            "wget",
            "journalctl",
            "systemctl",
            "apt",
            "node",
        ],
        b"",
        &[],
    ),
];

static BY_NAME: LazyLock<HashMap<&'static [u8], &'static Command>> = LazyLock::new(|| {
    let named = |command: &'static Command| command.names.iter().map(move |name| (name.as_bytes(), command));
    COMMANDS.iter().flat_map(named).collect()
});

/// The command of this name.
pub(super) fn named(name: &[u8]) -> Option<&'static Command> {
    BY_NAME.get(name).copied()
}
