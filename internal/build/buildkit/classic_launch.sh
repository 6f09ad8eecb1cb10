#!/bin/bash
# Starts a command as Cloud Foundry's launcher does: launch -- COMMAND [ARGUMENTS]
[ "$1" != -- ] || shift
export HOME=/home/vcap/app USER=vcap DEPS_DIR=/home/vcap/deps TMPDIR=/home/vcap/tmp
export VCAP_APP_PORT="${PORT:-8080}" VCAP_APP_HOST=0.0.0.0
cd "$HOME" || exit 1
for file in /home/vcap/profile.d/*.sh "$HOME"/.profile.d/*.sh "$HOME/.profile"; do
	[ ! -f "$file" ] || . "$file"
done
unset file
exec /usr/bin/tini -s -- "$@"
