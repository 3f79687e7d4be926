package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// At boot modules are built before what may want them, within a limit, and for everybody to see.
func TestBootUnit(t *testing.T) {
	t.Parallel()
	unit := readUnit(t, "dkms.service")
	for _, later := range []string{"systemd-modules-load.service", "network-pre.target", "display-manager.service", "graphical.target"} {
		if !slices.Contains(unit["Before"], later) {
			t.Errorf("Before=%s, want %s among them", unit["Before"], later)
		}
	}
	for key, want := range map[string]string{
		"Type": "oneshot", "DefaultDependencies": "no", "StandardOutput": "journal+console", "StandardError": "journal+console",
	} {
		if got := strings.Join(unit[key], " "); got != want {
			t.Errorf("%s=%s, want %s", key, got, want)
		}
	}
	if len(unit["TimeoutStartSec"]) != 1 || unit["TimeoutStartSec"][0] == "infinity" {
		t.Errorf("TimeoutStartSec=%s, want a limit", unit["TimeoutStartSec"])
	}
}

// Our services write to /lib/modules, /boot and /usr/src, make namespaces for the children, and must not be in a mount namespace
// of their own: there the system looks like a chroot, in which nothing is signed. systemd.exec(5) says what each of these does.
func TestHardeningAllowsBuilds(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"dkms.service", "dkms-watch.service"} {
		unit := readUnit(t, name)
		for _, key := range []string{
			"ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "PrivateMounts", "PrivateUsers", "PrivateNetwork", "DynamicUser",
			"ProtectKernelModules", "ProtectKernelTunables", "ProtectKernelLogs", "ProtectControlGroups", "ProtectProc", "ProcSubset",
			"ReadOnlyPaths", "ReadWritePaths", "InaccessiblePaths", "NoExecPaths", "BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem",
			"RootDirectory", "RootImage", "MountAPIVFS", "StateDirectory", "RestrictNamespaces", "User", "LoadCredential",
		} {
			if got, ok := unit[key]; ok {
				t.Errorf("%s: %s=%s", name, key, got)
			}
		}
	}
}

// The watcher is what systemd takes it for.
func TestWatchUnit(t *testing.T) {
	t.Parallel()
	unit := readUnit(t, "dkms-watch.service")
	for _, key := range []string{"WatchdogSec", "NoNewPrivileges", "CapabilityBoundingSet", "SystemCallFilter", "RestrictAddressFamilies", "ExecReload"} {
		if len(unit[key]) == 0 {
			t.Errorf("there is no %s=", key)
		}
	}
	if got := strings.Join(unit["Type"], " "); got != "notify" {
		t.Errorf("Type=%s, want notify", got)
	}
}

// readUnit returns the words of each setting of a unit.
func readUnit(t *testing.T, name string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../packaging/systemd/" + name)
	if err != nil {
		t.Fatal(err)
	}
	unit := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && line[0] != '#' {
			unit[key] = append(unit[key], strings.Fields(value)...)
		}
	}
	return unit
}
