# Sourced: the tools of the database, which take no password as an argument.
# shellcheck shell=bash

# %if cookiecutter.database == "sqlite"
live=/app/data/db.sqlite3
scratch=/srv/scratch/db.sqlite3

sql() { python -m sqlite3 "$1" "$2" | tr -d "('),"; } # DATABASE, QUERY

dump_database() { # FILE
    python -c 'import sqlite3, sys
live, copy = map(sqlite3.connect, sys.argv[1:])
live.backup(copy)' "$live" "$1"
}
read_dump() { # SQLite fills up a last page that was cut: its size tells
    local size
    size=$(($(sql "$1" "PRAGMA page_count") * $(sql "$1" "PRAGMA page_size")))
    [ "$(sql "$1" "PRAGMA integrity_check")" = ok ] && [ "$(stat -c %s "$1")" = "$size" ]
}
check_version() { :; }
restore_database() { cp "$1" "$scratch"; }
drop_scratch() { rm -f "$scratch"; }
count_rows() { # DATABASE
    sql "$1" "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name" |
        while read -r table; do
            echo "$table $(sql "$1" "SELECT count(*) FROM \"$table\"")"
        done
}
swap_databases() { # NAME for the old one: nothing may be open
    cp "$scratch" "$live.new"
    for part in "" -wal -shm; do # a killed process leaves rows in the second
        [ ! -e "$live$part" ] || mv "$live$part" "/app/data/$1.sqlite3$part"
    done
    mv "$live.new" "$live"
}
# %else
url=$(cat /run/secrets/DATABASE_URL)
decode() { printf '%b' "${1//%/\\x}"; }
place=${url##*@} user=${url#*://}
user=${user%@*}
password=$(decode "${user#*:}") user=$(decode "${user%%:*}")
server=${place%%/*} live=${place#*/}
options=${live#"${live%%\?*}"} live=${live%%\?*}
scratch=${live}_restored
scratch_url=${url%"/$live$options"}/$scratch$options
# %endif
# %if cookiecutter.database == "postgresql"
export PGUSER=$user PGPASSWORD=$password

at() { echo "postgresql://$server/$1$options"; } # DATABASE
sql() { psql --quiet --no-align --tuples-only --set=ON_ERROR_STOP=1 "$(at "$1")"; }

open_shell() { psql "$(at "$live")"; }
dump_database() { # FILE: not compressed, so that restic stores what is new
    pg_dump --format=custom --compress=0 --file="$1" "$(at "$live")"
}
read_dump() { pg_restore --file=/dev/null "$1"; } # --list accepts half of one
check_version() { # FILE
    local from to
    from=$(pg_restore --list "$1" | sed -n 's/.*Dumped from database version: //p')
    to=$(sql postgres <<<"SHOW server_version")
    [ "${from%%.*}" = "${to%%.*}" ] ||
        fail "The dump is of PostgreSQL ${from%%.*}, and the server is ${to%%.*}."
}
restore_database() { # FILE
    drop_scratch
    sql postgres <<<"CREATE DATABASE \"$scratch\" TEMPLATE template0"
    pg_restore --exit-on-error --no-owner --dbname="$(at "$scratch")" "$1"
}
drop_scratch() { sql postgres <<<"DROP DATABASE IF EXISTS \"$scratch\" WITH (FORCE)"; }
count_rows() { # DATABASE
    sql "$1" <<<"SELECT format('SELECT %L, count(*) FROM %I;', tablename, tablename)
        FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename" |
        sql "$1" | tr '|' ' '
}
swap_databases() { # NAME for the old one: all connections end, or nothing changes
    sql postgres <<SQL || { sql postgres <<<"ALTER DATABASE \"$live\" ALLOW_CONNECTIONS true"; return 1; }
ALTER DATABASE "$live" ALLOW_CONNECTIONS false;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname IN ('$live', '$scratch') \\g /dev/null
BEGIN;
ALTER DATABASE "$live" RENAME TO "$1";
ALTER DATABASE "$scratch" RENAME TO "$live";
COMMIT;
ALTER DATABASE "$1" ALLOW_CONNECTIONS true;
SQL
}
# %endif
# %if cookiecutter.database == "mysql"
application=$user
case $server in *:*) ;; *) server=$server:3306 ;; esac
if [ -s /run/database_secrets/MYSQL_ROOT_PASSWORD ]; then
    user=root password=$(cat /run/database_secrets/MYSQL_ROOT_PASSWORD)
fi
umask 077
password=${password//\\/\\\\}
printf '[client]\nhost=%s\nport=%s\nuser=%s\npassword="%s"\n' "${server%:*}" \
    "${server##*:}" "$user" "${password//\"/\\\"}" >/tmp/client.cnf

tool() { "$1" --defaults-extra-file=/tmp/client.cnf "${@:2}"; }
sql() { tool mysql --batch --skip-column-names "$1"; } # DATABASE

open_shell() { tool mysql "$live"; }
dump_database() { # FILE
    tool mysqldump --single-transaction --no-tablespaces --routines "$live" >"$1"
}
read_dump() { tail -n 1 "$1" | grep -q '^-- Dump completed'; }
check_version() { # FILE
    local from to
    from=$(sed -n 's/^-- Server version[[:space:]]*//p' "$1" | head -n 1)
    to=$(sql "" <<<"SELECT version()")
    [ "${from%.*}" = "${to%.*}" ] || fail "The dump is of $from, and the server is $to."
}
restore_database() { # FILE
    drop_scratch
    sql "" <<<"CREATE DATABASE \`$scratch\`"
    [ "$user" != root ] || sql "" <<<"GRANT ALL ON \`$scratch\`.* TO '$application'"
    sql "$scratch" <"$1"
}
drop_scratch() { sql "" <<<"DROP DATABASE IF EXISTS \`$scratch\`"; }
list_tables() { # DATABASE
    sql "$1" <<<"SELECT table_name FROM information_schema.tables
        WHERE table_schema = database() AND table_type = 'BASE TABLE' ORDER BY 1"
}
count_rows() { # DATABASE
    list_tables "$1" | while read -r table; do
        echo "$table $(sql "$1" <<<"SELECT count(*) FROM \`$table\`")"
    done
}
swap_databases() { # NAME for the old one: one statement renames all tables, or none
    sql "" <<<"CREATE DATABASE \`$1\`"
    { list_tables "$live" | sed "s/.*/\`$live\`.\`&\` TO \`$1\`.\`&\`/"
        list_tables "$scratch" | sed "s/.*/\`$scratch\`.\`&\` TO \`$live\`.\`&\`/"; } |
        paste -sd , | sed 's/^/RENAME TABLE /' | sql ""
    drop_scratch
}
# %endif
