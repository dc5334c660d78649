#!/bin/sh
# What tests need and pip cannot install, on Debian and Ubuntu where we may install packages: PortAudio and a sound server
# for the virtual microphone, the synthesisers of the bundled recording.
packages="libportaudio2 pulseaudio pulseaudio-utils libasound2-plugins espeak-ng flite"
command -v pulseaudio >/dev/null && command -v espeak-ng >/dev/null && command -v flite >/dev/null &&
    ldconfig -p | grep -q libportaudio && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    # shellcheck disable=SC2086
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages \
        >/dev/null && exit 0
fi
echo "some tests will skip; they need: $packages" >&2
exit 0
