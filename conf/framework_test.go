package conf_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/conf"
)

func TestFramework(t *testing.T) {
	t.Parallel()
	defaults := conf.Framework{
		SourceTree: "/usr/src", DKMSTree: "/var/lib/dkms", InstallTree: "/lib/modules", TmpLocation: "/tmp",
		CompressXz: "--check=crc32 --lzma2=dict=1MiB", CompressZstd: "-q --rm -T0",
		ContinueOnError: true,
	}
	const main, one, two = "/etc/dkms/framework.conf", "/etc/dkms/framework.conf.d/1.conf", "/etc/dkms/framework.conf.d/2.conf"
	tests := []struct {
		name   string
		files  map[string]string
		env    []string
		vars   map[string]string
		kernel string
		want   func(f *conf.Framework)
	}{
		{name: "nothing", want: func(*conf.Framework) {}},
		{
			name:  "comments only",
			files: map[string]string{main: "# dkms_tree=/elsewhere\n"},
			want:  func(f *conf.Framework) { f.Files = []string{main} },
		},
		{
			name: "later files override earlier ones",
			files: map[string]string{
				main: "dkms_tree=/a\nverbose=1\nsource_tree=\"$dkms_tree/src\"\n",
				two:  "dkms_tree=/c\n",
				one:  "dkms_tree=/b\nsymlink_modules=yes\nverbose=\n",

				"/etc/dkms/framework.conf.d/.hidden.conf": "dkms_tree=/hidden\n",
				"/etc/dkms/framework.conf.d/other.txt":    "dkms_tree=/other\n",
			},
			want: func(f *conf.Framework) {
				f.DKMSTree, f.SourceTree, f.SymlinkModules, f.Files = "/c", "/a/src", true, []string{main, one, two}
			},
		},
		{
			name: "environment",
			env: []string{
				"parallel_jobs=1", "try_sign_modules=false", "sign_file=/x", "mok_signing_key=/k", "mok_certificate=/c", "verbose=1",
				"dkms_tree=/env", "modprobe_on_install=1", "post_transaction=true", "build_environment=/b", "TMPDIR=/var/tmp",
			},
			want: func(f *conf.Framework) {
				f.ParallelJobs, f.TrySignModules, f.SignFile, f.MokSigningKey, f.MokCertificate = "1", "false", "/x", "/k", "/c"
				f.ModprobeOnInstall, f.PostTransaction, f.BuildEnvironment, f.TmpLocation = true, "true", "/b", "/var/tmp"
			},
		},
		{
			name:  "file over environment",
			files: map[string]string{main: "parallel_jobs=3\n"},
			env:   []string{"parallel_jobs=1"},
			want:  func(f *conf.Framework) { f.ParallelJobs, f.Files = "3", []string{main} },
		},
		{
			name:  "without a kernel",
			files: map[string]string{main: "sign_file=\"/lib/modules/${kernelver}/sign-file\"\n"},
			want:  func(f *conf.Framework) { f.SignFile, f.Files = "/lib/modules//sign-file", []string{main} },
		},
		{
			name:   "with a kernel",
			files:  map[string]string{main: "sign_file=\"/lib/modules/${kernelver}/sign-file\"\npost_transaction='echo $kernelver'\n"},
			kernel: "6.1",
			want: func(f *conf.Framework) {
				f.SignFile, f.PostTransaction, f.Files = "/lib/modules/6.1/sign-file", "echo 6.1", []string{main}
			},
		},
		{
			name:  "variables of the program",
			files: map[string]string{main: "post_transaction=\"note $dkms_tree $current_os\"\n"},
			vars:  map[string]string{"dkms_tree": "/given", "current_os": "Linux"},
			want: func(f *conf.Framework) {
				f.DKMSTree, f.PostTransaction, f.Files = "/given", "note /given Linux", []string{main}
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := &conf.Loader{Root: write(t, tt.files), Runner: noProcess{t}, Env: tt.env, Vars: tt.vars}
			want := defaults
			tt.want(&want)
			got, err := l.Framework(t.Context(), tt.kernel)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Errorf("Framework(%q) mismatch (-want +got):\n%s", tt.kernel, diff)
			}
			if again, err := l.Framework(t.Context(), tt.kernel); again != got || err != nil {
				t.Errorf("Framework(%q) again = %p, %v, want the same %p", tt.kernel, again, err, got)
			}
		})
	}
}

// TestFrameworkScript: a function has no effect, and takes the file to bash; the defaults must survive the way there.
func TestFrameworkScript(t *testing.T) {
	t.Parallel()
	l := chrootLoader(t, map[string]string{
		"/etc/dkms/framework.conf": "do_status() {\n\techo hijacked\n}\nif true; then verbose=1; fi\nparallel_jobs=$((parallel_jobs + 1))\n",
	})
	l.Env = append(l.Env, "parallel_jobs=7")
	got, err := l.Framework(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	want := &conf.Framework{
		SourceTree: "/usr/src", DKMSTree: "/var/lib/dkms", InstallTree: "/lib/modules", TmpLocation: "/tmp", Verbose: true,
		ContinueOnError: true,
		ParallelJobs:    "8", CompressXz: "--check=crc32 --lzma2=dict=1MiB", CompressZstd: "-q --rm -T0",
		Files: []string{"/etc/dkms/framework.conf"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Framework() mismatch (-want +got):\n%s", diff)
	}
}
