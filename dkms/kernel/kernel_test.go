package kernel_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/dkms/kernel"
)

func TestFind(t *testing.T) {
	t.Parallel()
	root := layout(t, map[string]string{
		"lib/modules/6.1.0-9-amd64/build":                   "-> /usr/src/linux-headers-6.1.0-9-amd64",
		"usr/src/linux-headers-6.1.0-9-amd64/.config":       "CONFIG_X=y\n",
		"lib/modules/6.12.1/build/include/config/auto.conf": "CONFIG_X=y\n",
		"lib/modules/6.12.1/build/.config":                  "CONFIG_X=m\n",
		"srv/linux/.config":                                 "CONFIG_X=y\n",
	})
	type paths struct{ ModuleDir, Headers, Config string }
	for _, test := range []struct {
		name    string
		options kernel.Options
		release string
		want    paths
	}{
		{"dot config", kernel.Options{InstallTree: "/lib/modules"}, "6.1.0-9-amd64", paths{
			"/lib/modules/6.1.0-9-amd64", "/lib/modules/6.1.0-9-amd64/build", "/lib/modules/6.1.0-9-amd64/build/.config",
		}},
		{"auto.conf first", kernel.Options{InstallTree: "/lib/modules"}, "6.12.1", paths{
			"/lib/modules/6.12.1", "/lib/modules/6.12.1/build", "/lib/modules/6.12.1/build/include/config/auto.conf",
		}},
		{"nothing there", kernel.Options{InstallTree: "/lib/modules"}, "custom", paths{
			"/lib/modules/custom", "/lib/modules/custom/build", "/lib/modules/custom/build/.config",
		}},
		{"source directory given", kernel.Options{InstallTree: "/m", SourceDir: "/srv/linux"}, "1", paths{
			"/m/1", "/srv/linux", "/srv/linux/.config",
		}},
		{"config given", kernel.Options{InstallTree: "/m", Config: "/boot/c"}, "1", paths{
			"/m/1", "/m/1/build", "/boot/c",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			k := find(t, root, test.options, test.release)
			got := paths{k.ModuleDir, k.Headers, k.Config}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Find(%+v, %q) (-want +got):\n%s", test.options, test.release, diff)
			}
		})
	}
}

func TestFindRefusesPaths(t *testing.T) {
	t.Parallel()
	root := layout(t, nil)
	for _, release := range []string{"", ".", "..", "../x", "a/b"} {
		if k, err := kernel.Find(root, kernel.Options{InstallTree: "/lib/modules"}, release, "x86_64"); err == nil {
			t.Errorf("Find(%q) = %+v, want an error", release, k)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	root := layout(t, map[string]string{
		"lib":                     "-> usr/lib",
		"usr/lib/modules/6.10/":   "",
		"usr/lib/modules/6.9/":    "",
		"usr/lib/modules/custom/": "",
		"usr/lib/modules/.hid/":   "",
		"usr/lib/modules/file":    "",
		"usr/lib/modules/link":    "-> /srv/far",
		"usr/lib/modules/dangle":  "-> /srv/nowhere",
		"srv/far/":                "",
	})
	got, err := kernel.List(root, "/lib/modules")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"6.10", "6.9", "custom", "link"}, got); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
	if got, err := kernel.List(root, "/nowhere"); err != nil || len(got) > 0 {
		t.Errorf("List(/nowhere) = %q, %v, want none", got, err)
	}
}

func TestCheckHeaders(t *testing.T) {
	t.Parallel()
	root := layout(t, map[string]string{
		"lib/modules/good/build":  "-> /usr/src/good",
		"usr/src/good/include/":   "",
		"lib/modules/stale/build": "-> /usr/src/gone",
	})
	if err := find(t, root, kernel.Options{InstallTree: "/lib/modules"}, "good").CheckHeaders(); err != nil {
		t.Errorf("CheckHeaders = %v, want nil", err)
	}
	for _, test := range []struct {
		options kernel.Options
		want    kernel.NoHeadersError
	}{
		{kernel.Options{Distribution: "debian"}, kernel.NoHeadersError{Package: "linux-headers-stale"}},
		{kernel.Options{SourceDir: "/srv/none"}, kernel.NoHeadersError{Looked: []string{"/srv/none"}}},
	} {
		test.options.InstallTree = "/lib/modules"
		test.want.Release = "stale"
		test.want.Looked = append([]string{"/lib/modules/stale/build", "/lib/modules/stale/source"}, test.want.Looked...)
		err := find(t, root, test.options, "stale").CheckHeaders()
		var got *kernel.NoHeadersError
		if !errors.As(err, &got) {
			t.Errorf("CheckHeaders = %v, want a *NoHeadersError", err)
			continue
		}
		if diff := cmp.Diff(test.want, *got); diff != "" {
			t.Errorf("CheckHeaders (-want +got):\n%s", diff)
		}
	}
}

func TestNoHeadersPackage(t *testing.T) {
	t.Parallel()
	root := layout(t, nil)
	for _, test := range []struct{ distribution, release, want string }{
		{"debian", "6.1.0-56-amd64", "linux-headers-6.1.0-56-amd64"},
		{"ubuntu", "6.8.0-60-generic", "linux-headers-6.8.0-60-generic"},
		{"fedora", "6.12.5-200.fc41.x86_64", "kernel-devel-6.12.5-200.fc41.x86_64"},
		{"rhel centos fedora", "5.14.0-503.el9.x86_64", "kernel-devel-5.14.0-503.el9.x86_64"},
		{"rhel centos fedora", "5.14.0-503.el9.x86_64+rt", "kernel-rt-devel-5.14.0-503.el9.x86_64"},
		{"fedora", "5.15.0-302.167.6.el9uek.x86_64", "kernel-uek-devel-5.15.0-302.167.6.el9uek.x86_64"},
		{"centos rhel fedora", "6.1.112-122.189.amzn2023.x86_64", "kernel-devel-6.1.112-122.189.amzn2023.x86_64"},
		{"openEuler", "6.6.0-28.0.0.34.oe2403.x86_64", "kernel-devel-6.6.0-28.0.0.34.oe2403.x86_64"},
		{"mariner", "6.6.57.1-6.azl3", "kernel-devel"},
		{"arch", "6.6.63-1-MANJARO", "linux66-headers"},
		{"arch", "6.12.1-zen1-1-zen", "linux-zen-headers"},
		{"arch", "6.11.9-hardened1-1-hardened", "linux-hardened-headers"},
		{"sles suse", "6.4.0-150600.23-azure", "kernel-azure-devel"},
		{"void", "6.6.63_1", "linux6.6-headers"},
		{"suse opensuse", "6.4.0-150600.23-default", "kernel-default-devel"},
		{"opensuse suse", "6.12.1-1-rt", "kernel-rt-devel"},
		{"arch", "6.12.1-arch1-1", "linux-headers"},
		{"arch", "6.6.63-1-lts", "linux-lts-headers"},
		{"alpine", "6.6.58-0-lts", "linux-lts-dev"},
		{"gentoo", "6.6.58-gentoo", ""},
		{"", "6.6.58", ""},
	} {
		err := find(t, root, kernel.Options{Distribution: test.distribution}, test.release).CheckHeaders()
		var got *kernel.NoHeadersError
		if !errors.As(err, &got) || got.Package != test.want {
			t.Errorf("package for %q on %q = %+v, want %q", test.release, test.distribution, err, test.want)
		}
	}
}
