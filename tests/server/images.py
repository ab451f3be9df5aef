"""The images that a project's server needs, taken from this machine's own engine."""

import json
import shutil
import subprocess

from tests.bakery import TEMPLATE
from tests.server.host import Host
from tests.services.process import find_program, run
from tests.test_image import find_docker, works

BASE = "python:3.13-slim-bookworm"
TOOL = TEMPLATE.parent / "shared" / "tools" / "docker-engine"
# What the stand-ins lack of the official images: data folders that belong to the user
# of the server, a start without root, and POSTGRES_PASSWORD_FILE.
LIKE_OFFICIAL = {
    "postgres": """
RUN install -d -o postgres -m 1777 /var/lib/postgresql /var/run/postgresql
COPY entry /entry
ENTRYPOINT ["sh", "/entry"]
""",
    "redis": "RUN install -d -o redis /data\n",
    "mysql": """
RUN install -d -o mysql -m 1777 /var/lib/mysql /var/run/mysqld
COPY entry /entry
ENTRYPOINT ["sh", "/entry"]
# The package manager of the official image.
RUN printf '#!/bin/sh\\napt-get update && apt-get install -y curl openssh-client\\n' \\
    >/usr/bin/microdnf && chmod 755 /usr/bin/microdnf
""",
}
RESTIC = "restic/restic:0.18.1"
STARTS = {}
STARTS["postgres"] = """
export PATH=$(echo /usr/lib/postgresql/*/bin):$PATH PGDATA=/var/lib/postgresql/data
[ "$1" = postgres ] || exec "$@"
if [ ! -s $PGDATA/PG_VERSION ]; then
    initdb -U "$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" -A scram-sha-256 \
        --auth-local=trust >/dev/null
    echo "host all all all scram-sha-256" >>$PGDATA/pg_hba.conf
    pg_ctl -o "-c listen_addresses=" -w start >/dev/null
    createdb -U "$POSTGRES_USER" "$POSTGRES_DB" 2>/dev/null
    pg_ctl -w stop >/dev/null
fi
exec "$@" -c listen_addresses="*"
"""
STARTS["mysql"] = """
data=/var/lib/mysql
[ "$1" = mysqld ] || exec "$@"
shift
if [ ! -e $data/.made ]; then
    find $data -mindepth 1 -delete
    mariadb-install-db --datadir=$data \\
        --auth-root-authentication-method=normal >/dev/null
    root=$(cat "$MYSQL_ROOT_PASSWORD_FILE") own=$(cat "$MYSQL_PASSWORD_FILE")
    mariadbd --datadir=$data --bootstrap <<SQL
FLUSH PRIVILEGES;
DELETE FROM mysql.global_priv WHERE User = "";
ALTER USER root@localhost IDENTIFIED BY "$root";
CREATE USER root@"%" IDENTIFIED BY "$root";
GRANT ALL ON *.* TO root@"%" WITH GRANT OPTION;
CREATE DATABASE $MYSQL_DATABASE CHARACTER SET utf8mb4;
CREATE USER "$MYSQL_USER"@"%" IDENTIFIED BY "$own";
GRANT ALL ON $MYSQL_DATABASE.* TO "$MYSQL_USER"@"%";
SQL
    touch $data/.made
fi
exec mariadbd --datadir=$data --bind-address=0.0.0.0 "$@"
"""


def bring_restic(host: Host) -> None:
    """Make restic's image on the server, of Debian's own restic."""
    if not host.docker("image", "ls", "-q", RESTIC):
        folder = host.folder / "restic"
        folder.mkdir()
        shutil.copy(find_program("restic", "restic"), folder / "restic")
        (folder / "Dockerfile").write_text(
            "FROM scratch\nCOPY restic /usr/bin/restic\n"
        )
        host.docker("build", "--quiet", "--tag", RESTIC, folder)


def bring(host: Host, *names: str) -> None:
    """Copy images to the server's engine, which reaches no registry."""
    docker = find_docker()
    for name in names:
        if not works(docker, "image", "inspect", name):
            run([TOOL, "stand-in", name] if TOOL.exists() else [docker, "pull", name])
    missing = [name for name in names if not host.docker("image", "ls", "-q", name)]
    if not missing:
        return
    with subprocess.Popen([docker, "save", *missing], stdout=subprocess.PIPE) as save:
        host.docker("load", stdin=save.stdout)
    for name in missing:
        more = LIKE_OFFICIAL.get(name.partition(":")[0])
        form = "{{json .Config.Entrypoint}}"
        found = host.docker("image", "inspect", f"--format={form}", name)
        if more and json.loads(found) == ["/entrypoint"]:
            folder = host.folder / "image"
            folder.mkdir(exist_ok=True)
            start = STARTS.get(name.partition(":")[0], "")
            (folder / "entry").write_text(start)
            (folder / "Dockerfile").write_text(f"FROM {name}\n{more}")
            host.docker("build", "--quiet", "--tag", name, folder)
