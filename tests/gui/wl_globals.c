// SPDX-License-Identifier: GPL-2.0-or-later
// The globals of a compositor that clients of tests use.
#include "wl_globals.h"

#include <string.h>

static void handle_global(void *data, struct wl_registry *registry, uint32_t name,
			  const char *interface, uint32_t version)
{
	struct globals *globals = data;

	(void)version;
	if (!strcmp(interface, "wl_compositor"))
		globals->compositor = wl_registry_bind(registry, name, &wl_compositor_interface, 4);
	else if (!strcmp(interface, "wl_subcompositor"))
		globals->subcompositor = wl_registry_bind(registry, name,
							  &wl_subcompositor_interface, 1);
	else if (!strcmp(interface, "wl_shm"))
		globals->shm = wl_registry_bind(registry, name, &wl_shm_interface, 1);
	else if (!strcmp(interface, "xdg_wm_base"))
		globals->wm_base = wl_registry_bind(registry, name, &xdg_wm_base_interface, 2);
	else if (!strcmp(interface, "wl_seat"))
		globals->seat = wl_registry_bind(registry, name, &wl_seat_interface, 5);
	else if (!strcmp(interface, "wl_data_device_manager"))
		globals->data_manager = wl_registry_bind(registry, name,
							 &wl_data_device_manager_interface, 3);
}

static void handle_global_remove(void *data, struct wl_registry *registry, uint32_t name)
{
	(void)data;
	(void)registry;
	(void)name;
}

static const struct wl_registry_listener listener = {.global = handle_global,
						     .global_remove = handle_global_remove};

void globals_listen(struct wl_display *display, struct globals *globals)
{
	wl_registry_add_listener(wl_display_get_registry(display), &listener, globals);
}
