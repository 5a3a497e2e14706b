#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes packages of what is committed, into build-packages/, on Debian 12:
#
#     packaging/build-packages.sh            belfry and belfry-dev for Debian
#     packaging/build-packages.sh rpm        for Fedora, as far as that can be done here (packaging/README.md)
#
# The same commit gives the same bytes, wherever it is built.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PACKAGES=$PWD/build-packages
readonly BUILD=$PACKAGES/build
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
export CCACHE_DISABLE=1 # what a cache keeps may have been compiled elsewhere

make_deb()
{
	cmake --preset package -B "$BUILD"
	cmake --build "$BUILD" -j "$(nproc)"
	rm -f "$PACKAGES"/*.deb
	cpack --config "$BUILD/CPackConfig.cmake" -B "$PACKAGES"
	rm -r "$PACKAGES/_CPack_Packages"
}

# Debian knows neither Fedora's names of what it is built with nor systemd's macros: the former are taken on trust, the
# latter given.
make_rpm()
{
	cmake --preset package -B "$BUILD" -DBELFRY_DEBIAN=OFF
	rm -f "$PACKAGES"/*.rpm
	rpmbuild -bb --build-in-place --nodeps --load packaging/rpm/macros.debian \
		--define "_vpath_builddir $BUILD" --define "_topdir $PACKAGES/rpm" --define "_rpmdir $PACKAGES" \
		--define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
		packaging/rpm/belfry.spec
	rm -r "$PACKAGES/rpm"
}

main()
{
	umask 022 # a plugin that others could change is not run
	case "${1:-deb}" in
	deb | rpm)
		packaging/install-dependencies.sh build run package
		"make_${1:-deb}"
		;;
	*)
		echo "usage: packaging/build-packages.sh [rpm]" >&2
		exit 2
		;;
	esac
}

main "$@"
