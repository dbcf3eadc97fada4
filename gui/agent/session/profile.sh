# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# Login shells in a qube find the displays of the agent.
bulkhead_gui_env=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/bulkhead-gui.env
if [ -r "$bulkhead_gui_env" ] && [ -O "$bulkhead_gui_env" ]; then
	while IFS='=' read -r bulkhead_gui_name bulkhead_gui_value; do
		case $bulkhead_gui_name in
		WAYLAND_DISPLAY) export WAYLAND_DISPLAY="$bulkhead_gui_value" ;;
		DISPLAY) [ -z "$bulkhead_gui_value" ] || export DISPLAY="$bulkhead_gui_value" ;;
		XDG_SESSION_TYPE) export XDG_SESSION_TYPE="$bulkhead_gui_value" ;;
		esac
	done < "$bulkhead_gui_env"
	export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
fi
unset bulkhead_gui_env bulkhead_gui_name bulkhead_gui_value
