//! Ordinary outputs hold no secret and stay as they are: who reads a record must be able to.

use forelog::core::scrub::{Scrubbed, scrub_text};
use serde_json::{Value, json};

const OUTPUTS: &[&str] = &[
    "total 48\ndrwxr-xr-x  2 root root 4096 Nov 28 06:00 bin\n-rw-r--r--  1 ada  ada    18 Nov 27 2026 password.txt\n\
     lrwxrwxrwx  1 root root    7 Nov  1 10:00 lib -> usr/lib\n-rw-------  1 root root  963 Jan  3 09:12 .pgpass\n",
    "● ssh.service - OpenBSD Secure Shell server\n     Loaded: loaded (/lib/systemd/system/ssh.service; enabled; vendor preset: enabled)\n\
     Active: active (running) since Sat 2026-11-28 06:00:00 UTC; 3h ago\n       Docs: man:sshd(8)\n   Main PID: 812 (sshd)\n      Tasks: 1 (limit: 4915)\n\
     Memory: 5.2M\n        CPU: 132ms\n     CGroup: /system.slice/ssh.service\n             └─812 \"sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups\"\n\n\
     Nov 28 06:00:01 web-1 sshd[812]: Server listening on 0.0.0.0 port 22.\nNov 28 06:10:01 web-1 sshd[999]: Failed password for root from 203.0.113.9 port 51234 ssh2\n",
    "Filesystem     1K-blocks    Used Available Use% Mounted on\n/dev/vda1       20480000 4915200  15564800  24% /\ntmpfs             512000       0    512000   0% /dev/shm\n",
    "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b\nAuthor: Ada <ada@example.org>\nDate:   Sat Nov 28 06:00:00 2026 +0000\n\n    Ask for a token once, and refresh the password page\n\n\
     \x20   The token: it was asked for twice. See docs/secret-keys.md.\n",
    "* 9f86d08 (HEAD -> main, origin/main) Let a password be changed\n* 8a1b2c3 Keep the key: value pairs in order\n",
    "PasswordAuthentication yes\nPermitEmptyPasswords no\n#AuthorizedKeysFile .ssh/authorized_keys\nUsePAM yes\npassword: no\nPassword: \npassword: required\n",
    "docker run --user=1000 -p 8080:80 -e MODE=a --name web nginx\ndocker run -u 1000:1000 --user=1000:1000 -p 127.0.0.1:8080:80 nginx\nssh -p 22 ada@h; mkdir -p /srv/a; cp -pr a b; ps -u root -p 1\n",
    "CONTAINER ID   IMAGE     COMMAND   STATUS         PORTS                                     NAMES\n0a1b2c3d4e5f   nginx     \"nginx\"   Up 3 minutes   0.0.0.0:8080->80/tcp, :::8080->80/tcp     web\n",
    "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nroot:!:19000:0:99999:7:::\ndaemon:*:18375:0:99999:7:::\n",
    "passwd:         files systemd\ngroup:          files systemd\nshadow:         files\nhosts:          files dns\n",
    "Last password change\t\t\t\t\t: Nov 28, 2026\nPassword expires\t\t\t\t\t: never\nPassword inactive\t\t\t\t\t: never\n",
    "src/main.rs:12:5: error: unused variable: `token`\nsrc/main.rs:120:9:warning:unused\nlet token = lexer.next(); // the token: a word\n",
    "Usage: login [-p] <user> <password> [options]\n  --password <password>   the password to use\n  --token-file PATH       where the token is\n  -u, --user NAME[:PASSWORD]\n",
    "udp   UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:* users:((\"systemd-resolve\",pid=512,fd=12))\ntcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\n",
    "2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP\n    link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff\n    inet6 2001:db8:1:2:5054:ff:fe12:3456/64 scope global\n2001:1234:5678:abcd:ef01:2345:6789:abcd dev eth0\n",
    "top - 06:00:01 up 3 days,  2:10,  1 user,  load average: 0.00, 0.01, 0.05\n  PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND\n    1 root      20   0  168140  11000   8000 S   0.0   1.1   0:01.00 systemd\n",
    "USER=root HOME=/root PWD=/root OLDPWD=/srv SHELL=/bin/bash LANG=C.UTF-8 TERM=xterm PATH=/usr/bin:/bin\nroot : TTY=pts/0 ; PWD=/root ; USER=root ; COMMAND=/bin/ls\n",
    "server {\n    listen 443 ssl;\n    server_name example.org;\n    ssl_certificate /etc/ssl/a.pem;\n    ssl_certificate_key /etc/ssl/a.key;\n    proxy_set_header Host $host;\n}\n",
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: web\n    image: nginx:1.27\n    env:\n    - name: MODE\n      value: production\n    - name: DB_PASSWORD\n      valueFrom:\n        secretKeyRef:\n          name: db\n          key: password\n    ports:\n    - containerPort: 80\n",
    "Get:1 http://deb.debian.org/debian bookworm/main amd64 passwd amd64 1:4.13 [971 kB]\nSetting up passwd (1:4.13) ...\n",
    "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 612\r\nWWW-Authenticate: Basic realm=\"members\"\r\n\r\n<html><head><title>Welcome</title></head><body><p>Basic functionality works.</p></body></html>\n",
    "<form><label for=\"password\">Password</label><input type=\"password\" name=\"password\" required></form>",
    "user,email,role\nada,ada@example.org,admin\nPRIMARY KEY (id), KEY name (name)\nSELECT user, host FROM mysql.user WHERE plugin = 'caching_sha2_password';\n",
    "{\"max_tokens\": 4096, \"prompt_tokens\": 1204, \"next_token\": null, \"token_type\": \"bearer\", \"key\": \"name\", \"value\": \"web\"}",
    "d41d8cd98f00b204e9800998ecf8427e  empty\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  empty\n",
    "awk '{print $1$2, $6}' a; echo $5$HOME; price is $6 or $1, at most; for i in ${LIST[@]}; do echo ${i%-*} ${A:-b}; done\n",
    "The machine default login shell is bash. Login user password reset needs staff. I set password policy = strict.\n",
    "echo done | tee -a log\necho hello | grep l\n",
    "aws configure set region eu-west-1; git config set user.name ada; nmcli dev wifi connect home; nmcli -t -f name,device con show\n",
    "vault login -method=oidc; the vault login page asks for it; config set: token bucket\ncat <<END\nhello there\nEND\nsudo tee /etc/x <<< 'a line'\n",
];

#[test]
fn redact_ordinary_outputs_stay_as_they_are() {
    let changed: Vec<String> = OUTPUTS.iter().filter(|text| scrub_text(text) != **text).map(|text| scrub_text(text)).collect();
    assert!(changed.is_empty(), "{changed:#?}");
}

#[test]
fn redact_documents_of_machines_stay_as_they_are() {
    let vm = json!({
        "id": "vm_01JD3Z9N7Q6F2V5T8W4X1Y0ABC", "name": "web-1", "state": "running", "image": "debian-12", "cpus": 2, "memory_mib": 2048,
        "disk": { "size_gib": 20, "kind": "ssd" }, "addresses": ["203.0.113.7", "2001:db8::7"], "exec_enabled": true,
        "ssh_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8 ada", "key_id": "cred_01JD3Z9N7Q6F2V5T8W4X1Y0ABC", "next_token": Value::Null,
        "tags": [{ "key": "role", "value": "web" }], "created_at": "2026-11-28T06:00:00Z", "password_login": false,
    });
    assert_eq!(Scrubbed::of(vm.clone()).document(), &vm);
    let text = serde_json::to_string_pretty(&vm).expect("JSON");
    assert_eq!(scrub_text(&text), text);
    assert_eq!(scrub_text(&vm.to_string()), vm.to_string());
}
