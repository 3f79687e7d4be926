package sysroot_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dkms-go/conf/sysroot"
)

func machine(t testing.TB) *sysroot.Root {
	t.Helper()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{
		"usr/src/linux-headers-6.1/Makefile":     "headers",
		"lib/modules/6.1/build":                  "-> /usr/src/linux-headers-6.1",
		"var/lib/dkms/m/1/source":                "-> /usr/src/m-1",
		"usr/src/m-1/dkms.conf":                  "conf",
		"usr/src/m-1/link":                       "-> dkms.conf",
		"usr/src/m-1/escape":                     "-> ../../../../../../usr/src/m-1/dkms.conf",
		"usr/src/m-1/dots":                       "-> ./../m-1/./dkms.conf",
		"usr/src/m-1/slash":                      "-> /",
		"usr/src/m-1/dangling":                   "-> /no/such",
		"usr/src/m-1/self":                       "-> self",
		"usr/src/m-1/ping":                       "-> pong",
		"usr/src/m-1/pong":                       "-> /usr/src/m-1/ping",
		"usr/src/m-1/double":                     "-> link",
		"usr/src/m-1/trailing":                   "-> /usr/src/linux-headers-6.1/",
		"usr/src/m-1/below":                      "-> /lib/modules/6.1/build/Makefile",
		"a/" + strings.Repeat("deep/", 30) + "f": "deep",
	})
	return root
}

func TestResolve(t *testing.T) {
	t.Parallel()
	root := machine(t)
	tests := []struct {
		abs  string
		want string
		err  error
	}{
		{"/", "", nil},
		{"", "", nil},
		{".", "", nil},
		{"/..", "", nil},
		{"/../../etc/passwd", "/etc/passwd", nil},
		{"usr/src", "/usr/src", nil},
		{"//usr//src//", "/usr/src", nil},
		{"/lib/modules/6.1/build", "/lib/modules/6.1/build", nil},
		{"/lib/modules/6.1/build/", "/lib/modules/6.1/build", nil},
		{"/lib/modules/6.1/build/.", "/usr/src/linux-headers-6.1", nil},
		{"/lib/modules/6.1/build/..", "/usr/src", nil},
		{"/lib/modules/6.1/build/Makefile", "/usr/src/linux-headers-6.1/Makefile", nil},
		{"/lib/modules/6.1/build/no/such/tail", "/usr/src/linux-headers-6.1/no/such/tail", nil},
		{"/lib/modules/6.1/build/no/../../m-1/x", "/usr/src/m-1/x", nil},
		{"/missing/../lib/modules/6.1/build/x", "/usr/src/linux-headers-6.1/x", nil},
		{"/usr/src/m-1/dangling", "/usr/src/m-1/dangling", nil},
		{"/usr/src/m-1/dangling/x", "/no/such/x", nil},
		{"/usr/src/m-1/slash/usr", "/usr", nil},
		{"/usr/src/m-1/slash/../../usr", "/usr", nil},
		{"/usr/src/m-1/trailing/Makefile", "/usr/src/linux-headers-6.1/Makefile", nil},
		{"/usr/src/m-1/self", "/usr/src/m-1/self", nil},
		{"/usr/src/m-1/self/x", "", syscall.ELOOP},
		{"/usr/src/m-1/ping/x", "", syscall.ELOOP},
		{"/usr/src/m-1/dkms.conf/x", "", syscall.ENOTDIR},
		{"/usr/src/m-1/link/x", "", syscall.ENOTDIR},
		{"/usr/src/m-1/dkms.conf/..", "", syscall.ENOTDIR},
	}
	for _, test := range tests {
		want := root.Dir() + test.want
		if test.err != nil {
			want = ""
		}
		got, err := root.Resolve(test.abs)
		if got != want {
			t.Errorf("Resolve(%q) = %q, want %q", test.abs, got, want)
		}
		wantError(t, fmt.Sprintf("Resolve(%q)", test.abs), err, test.err)
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	root := machine(t)
	const conf = "/usr/src/m-1/dkms.conf"
	tests := []struct {
		abs  string
		want string
		err  error
	}{
		{"/", "/", nil},
		{"/../..", "/", nil},
		{conf, conf, nil},
		{"/var/lib/dkms/m/1/source/link", conf, nil},
		{"/usr/src/m-1/double", conf, nil},
		{"/usr/src/m-1/escape", conf, nil},
		{"/usr/src/m-1/dots", conf, nil},
		{"/usr/src/m-1/slash", "/", nil},
		{"/usr/src/m-1/below", "/usr/src/linux-headers-6.1/Makefile", nil},
		{"/lib/modules/6.1/build", "/usr/src/linux-headers-6.1", nil},
		{"/usr/src/m-1/dangling", "", fs.ErrNotExist},
		{"/missing", "", fs.ErrNotExist},
		{"/missing/../usr", "", fs.ErrNotExist},
		{"/usr/src/m-1/self", "", syscall.ELOOP},
		{"/usr/src/m-1/ping", "", syscall.ELOOP},
		{conf + "/x", "", syscall.ENOTDIR},
	}
	for _, test := range tests {
		got, err := root.Follow(test.abs)
		if got != test.want {
			t.Errorf("Follow(%q) = %q, want %q", test.abs, got, test.want)
		}
		wantError(t, fmt.Sprintf("Follow(%q)", test.abs), err, test.err)
	}
}

func TestManyLinks(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"link0": "end"})
	const most = 255
	for i := range most + 1 {
		lay(t, root.Dir(), map[string]string{fmt.Sprint("link", i+1): fmt.Sprint("-> link", i)})
	}
	got, err := root.Follow(fmt.Sprint("/link", most))
	if got != "/link0" || err != nil {
		t.Errorf("Follow through %d links = %q, %v, want %q", most, got, err, "/link0")
	}
	_, err = root.Follow(fmt.Sprint("/link", most+1))
	wantError(t, "Follow through one more", err, syscall.ELOOP)
}

func TestPath(t *testing.T) {
	t.Parallel()
	root := machine(t)
	for abs, want := range map[string]string{
		"":                         "",
		"/":                        "",
		"/a/b":                     "/a/b",
		"a//b/":                    "/a/b",
		"/../../a":                 "/a",
		"/lib/modules/6.1/build/x": "/lib/modules/6.1/build/x",
		"/lib/../x":                "/x",
	} {
		if got := root.Path(abs); got != root.Dir()+want {
			t.Errorf("Path(%q) = %q, want %q", abs, got, root.Dir()+want)
		}
	}
}

// With the root "/" both kinds of path are the same.
func TestSlash(t *testing.T) {
	t.Parallel()
	root, err := sysroot.Open("/")
	must(t, err)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	lay(t, dir, map[string]string{"file": "x", "link": "-> " + dir + "/file"})
	for abs, want := range map[string]string{"/": "/", dir + "/link": dir + "/link", dir + "/no": dir + "/no"} {
		if got, err := root.Resolve(abs); got != want || err != nil {
			t.Errorf("Resolve(%q) = %q, %v, want %q", abs, got, err, want)
		}
		if got := root.Path(abs); got != want {
			t.Errorf("Path(%q) = %q, want %q", abs, got, want)
		}
	}
	if got, err := root.Follow(dir + "/link"); got != dir+"/file" || err != nil {
		t.Errorf("Follow = %q, %v, want %q", got, err, dir+"/file")
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lay(t, dir, map[string]string{"file": "x", "sub/": "", "link": "-> sub"})
	for name, want := range map[string]error{
		"": nil, "/": nil, "/sub/../sub": nil, "/link": nil,
		"/file": syscall.ENOTDIR, "/missing": fs.ErrNotExist,
	} {
		_, err := sysroot.Open(dir + name)
		wantError(t, fmt.Sprintf("Open(%q)", name), err, want)
	}
}

// Random trees of links, and random paths through them, lead where realpath(1)
// in a chroot says they do.
func TestFollowConfirm(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	install(t, root.Dir(), "bash", "realpath")
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{"a", "b", "c", "d", "e"}
	for range 150 {
		grow(root.Dir(), names, random)
	}
	var paths []string
	for range 400 {
		paths = append(paths, "/"+randomPath(names, random))
	}
	existing := 0
	for i, want := range realpath(t, root, "-e", paths) {
		got, err := root.Follow(paths[i])
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Follow(%q) = %q, %v, want %q", paths[i], got, err, want)
		}
		if err == nil {
			existing++
		}
	}
	if existing < 50 {
		t.Errorf("only %d of %d random paths exist, which shows little", existing, len(paths))
	}

	// realpath -m knows no errors, so only what we resolve is compared.
	var resolved, parents []string
	for _, p := range paths {
		if _, err := root.Resolve(p); err == nil {
			resolved = append(resolved, p)
			parents = append(parents, p[:strings.LastIndexByte(p, '/')+1])
		}
	}
	for i, parent := range realpath(t, root, "-m", parents) {
		got, err := root.Resolve(resolved[i])
		if want := filepath.Join(root.Dir(), parent, path.Base(resolved[i])); got != want || err != nil {
			t.Errorf("Resolve(%q) = %q, %v, want %q", resolved[i], got, err, want)
		}
	}
}

// realpath returns what realpath(1) prints for each path in a chroot, and an
// empty text where it fails. Whether a path exists is asked of the kernel, as
// realpath -e takes hours to see that some loops are loops.
func realpath(t *testing.T, root *sysroot.Root, mode string, paths []string) []string {
	t.Helper()
	const loop = `mode=$1; shift; for path; do
		if [[ $mode == -m || -e $path ]]; then tools/realpath "$mode" -- "$path"; else echo; fi
	done`
	out := chrooted(t, root.Dir(), append([]string{"/tools/bash", "-c", loop, "bash", mode}, paths...)...)
	return strings.Split(strings.TrimSuffix(out, "\n"), "\n")
}

// grow adds one file, directory or link at a random place below dir. It fails
// when something is there, which is fine.
func grow(dir string, names []string, random *rand.Rand) {
	for range random.IntN(4) {
		dir = filepath.Join(dir, names[random.IntN(len(names))])
	}
	host := filepath.Join(dir, names[random.IntN(len(names))])
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return
	}
	switch random.IntN(6) {
	case 0:
		_ = os.WriteFile(host, nil, 0o600)
	case 1, 2, 3:
		_ = os.Mkdir(host, 0o700)
	default:
		target := randomPath(names, random)
		if random.IntN(2) == 0 {
			target = "/" + target
		}
		_ = os.Symlink(target, host)
	}
}

// randomPath returns a path of one to five elements that ends in a name.
func randomPath(names []string, random *rand.Rand) string {
	var elements []string
	for range random.IntN(5) {
		if random.IntN(4) == 0 {
			elements = append(elements, "..")
			continue
		}
		elements = append(elements, names[random.IntN(len(names))])
	}
	return strings.Join(append(elements, names[random.IntN(len(names))]), "/")
}
