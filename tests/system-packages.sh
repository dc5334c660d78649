#!/bin/sh
# PortAudio and a sound server for the virtual microphone, on Debian and Ubuntu where we may install packages.
command -v pulseaudio >/dev/null && ldconfig -p | grep -q libportaudio && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        libportaudio2 pulseaudio pulseaudio-utils libasound2-plugins >/dev/null && exit 0
fi
echo "the microphone tests will skip: install libportaudio2 pulseaudio pulseaudio-utils libasound2-plugins" >&2
exit 0
