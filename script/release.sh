#!/bin/sh
# Builds what is released: static binaries for six systems, with their checksums.
#
#   script/release.sh VERSION OUT          builds into the folder OUT
#   script/release.sh --twice VERSION OUT  builds everything twice, from nothing
#                                          and in different folders, and compares
#
# TARGETS="linux/amd64 ..." builds others. The same sources and the same Go give
# the same bytes, wherever they are built.
set -eu

twice=
if [ "${1:-}" = --twice ]; then
	twice=yes
	shift
fi
if [ $# -ne 2 ]; then
	sed -n 's/^# \{0,1\}//p' "$0" | sed -n '2,8p' >&2
	exit 2
fi
version=$1
mkdir -p "$2"
out=$(cd "$2" && pwd)
top=$(cd "$(dirname "$0")/.." && pwd)
: "${TARGETS:=linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64}"

case $version in
v[0-9]*.[0-9]*.[0-9]*) ;;
*)
	echo "release: a version is like v1.2.3: $version" >&2
	exit 2
	;;
esac

# What the builder's surroundings would bring into the bytes is said here.
export CGO_ENABLED=0 GOFLAGS=-mod=readonly GOAMD64=v1 GOARM64=v8.0 GOEXPERIMENT= GOWORK=off

# build SOURCES OUT
build() {
	for target in $TARGETS; do
		os=${target%/*}
		arch=${target#*/}
		name=reseal_${version}_${os}_${arch}
		if [ "$os" = windows ]; then name=$name.exe; fi
		(cd "$1" && GOOS=$os GOARCH=$arch go build -trimpath -buildvcs=false \
			-ldflags "-s -w -buildid= -X main.stamped=$version" -o "$2/$name" ./cmd/reseal)
	done
	if command -v sha256sum >/dev/null; then sum=sha256sum; else sum="shasum -a 256"; fi
	(cd "$2" && $sum reseal_"${version}"_* >SHA256SUMS)
}

if [ -z "$twice" ]; then
	build "$top" "$out"
else
	tmp=$(mktemp -d)
	trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
	# Another path, other times, and nothing that was compiled before.
	mkdir -p "$tmp/elsewhere/sources" "$tmp/again"
	(cd "$top" && tar --exclude=.git -cf - .) | (cd "$tmp/elsewhere/sources" && tar -xf -)
	find "$tmp/elsewhere/sources" -exec touch {} +
	GOCACHE=$tmp/cache1 build "$top" "$out"
	GOCACHE=$tmp/cache2 build "$tmp/elsewhere/sources" "$tmp/again"
	if ! cmp "$out/SHA256SUMS" "$tmp/again/SHA256SUMS"; then
		echo "release: the second build has other bytes" >&2
		exit 1
	fi
	echo "release: the second build has the same bytes" >&2
fi
cat "$out/SHA256SUMS"
