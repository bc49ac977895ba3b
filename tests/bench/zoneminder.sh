#!/bin/sh
# zoneminder.sh HOME FOLDER MONITORS - ZoneMinder's capture daemons and their database, and nothing of them left behind.
# Run by zoneminder.py in mount and process namespaces of its own: HOME is where the packages were unpacked, and
# is laid over /usr and /etc for these processes only, and FOLDER, with monitors.sql and etc/zm, is seen as /mnt;
# when this script ends, all that it started ends.
set -e
home=$1 folder=$2 monitors=$3
trap 'exit 0' TERM

mount -t overlay zm -o "lowerdir=$home/usr:/usr" /usr
mount -t overlay zm -o "lowerdir=$folder/etc:$home/etc:/etc" /etc
mount -t tmpfs zm /dev/shm
mount --bind "$folder" /mnt

messages=/usr/share/mysql
server="/usr/sbin/mariadbd --no-defaults --user=root --datadir=/mnt/db --lc-messages-dir=$messages"
mkdir /mnt/db
(printf 'create database mysql;\nuse mysql;\n'; cat $messages/mysql_system_tables.sql $messages/mysql_system_tables_data.sql) |
  $server --bootstrap
$server --skip-networking --skip-grant-tables --socket=/mnt/db.sock &
client="mariadb --no-defaults --socket=/mnt/db.sock"
for i in $(seq 100); do
  ! $client -e 'select 1' >/dev/null 2>&1 || break
  sleep 0.1
done
$client </usr/share/zoneminder/db/zm_create.sql
$client zm </mnt/monitors.sql
for i in $monitors; do
  zmc -m "$i" &
done
touch /mnt/started
wait
