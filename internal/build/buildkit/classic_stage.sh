set -eu
home=/home/vcap
app=$home/app cache=$home/cache deps=$home/deps packs=/buildpacks
last=$((NARU_BUILDPACKS - 1))
notes=$home/.naru

if [ -n "${NARU_FRESH:-}" ]; then # nothing of earlier builds is left
	chmod -R u+rwX "$cache" || true
	find "$cache" -mindepth 1 -delete
fi
unset NARU_FRESH NARU_CACHE

# address is the container's own.
address() {
	local last='' word
	while read -r _ word rest; do
		case "$word $rest" in
		'host LOCAL'*) case $last in 127.*) ;; *) printf '%s' "$last"; return ;; esac ;;
		*) last=$word ;;
		esac
	done </proc/net/fib_trie
}
address=$(address || true)
export CF_INSTANCE_IP="$address" CF_INSTANCE_INTERNAL_IP="$address"

say() { printf -- '-----> %s\n' "$1"; }
die() { printf 'ERROR: %s\n' "$1" >&2; exit 1; }
has() { [ -f "$packs/$1/bin/$2" ]; }

# call runs a program of a buildpack.
call() {
	local i=$1 program=$2
	shift 2
	local name=NARU_BUILDPACK_$i
	[ -x "$packs/$i/bin/$program" ] || die "buildpack ${!name}: bin/$program cannot be executed"
	"$packs/$i/bin/$program" "$@" || die "buildpack ${!name}: bin/$program ended with exit code $?"
}

# ask leaves the first buildpack that knows the app as the only one.
ask() {
	local i=0 name known
	while [ "$i" -le "$last" ]; do
		name=NARU_BUILDPACK_$i
		if has "$i" detect && [ -x "$packs/$i/bin/detect" ] && known=$("$packs/$i/bin/detect" "$app"); then
			say "${!name} knows the app${known:+: $known}"
			printf '%s\n%s\n' "$i" "$known" >"$notes/detected"
			export NARU_BUILDPACK_0="${!name}"
			[ "$i" = 0 ] || { mv "$packs/0" "$packs/not" && mv "$packs/$i" "$packs/0"; }
			last=0
			return
		fi
		i=$((i + 1))
	done
	die "None of the buildpacks detected a compatible application"
}

: >"$notes/detected"
[ -z "${NARU_ASK:-}" ] || ask
i=0
while [ "$i" -le "$last" ]; do
	name=NARU_BUILDPACK_$i
	name=${!name}
	mkdir -p "$deps/$i" "$cache/$i" "$cache/final"
	if [ "$i" -lt "$last" ] || has "$i" finalize; then
		if has "$i" supply; then
			say "$name supplies"
			call "$i" supply "$app" "$cache/$i" "$deps" "$i"
		elif [ "$i" -lt "$last" ]; then
			die "buildpack $name has no bin/supply, so it can only be the last"
		fi
	fi
	i=$((i + 1))
done

name=NARU_BUILDPACK_$last
name=${!name}
if has "$last" finalize; then
	say "$name finishes"
	call "$last" finalize "$app" "$cache/final" "$deps" "$last" "$home/profile.d"
elif has "$last" compile; then
	say "$name compiles"
	call "$last" compile "$app" "$cache/final"
elif has "$last" supply; then
	die "buildpack $name only supplies, so it cannot be the last: it has neither bin/finalize nor bin/compile"
else
	die "$name is no buildpack: it has neither bin/finalize nor bin/compile"
fi
: >"$notes/release.yml"
if has "$last" release; then
	call "$last" release "$app" >"$notes/release.yml"
fi
i=0
while [ "$i" -le "$last" ]; do # what each says of itself
	: >"$notes/buildpack-$i.yml"
	[ ! -f "$deps/$i/config.yml" ] || head -c 65536 "$deps/$i/config.yml" >"$notes/buildpack-$i.yml"
	i=$((i + 1))
done
