package conf

import (
	"context"
	"path"
	"strings"
)

// Framework is the configuration of the program itself. An empty text means that nothing is set, unless a default is
// named; upstream's defaults are filled in.
type Framework struct {
	SourceTree  string // default /usr/src
	DKMSTree    string // default /var/lib/dkms
	InstallTree string // default /lib/modules
	TmpLocation string // default $TMPDIR or /tmp

	Verbose, SymlinkModules, AutoinstallAllKernels, ModprobeOnInstall bool // any text is yes
	ContinueOnError                                                   bool // default true, and true alone is yes

	ParallelJobs     string // "0" means no limit; empty: as many as there are processors
	CompressGzip     string
	CompressXz       string
	CompressZstd     string
	BuildEnvironment string // a file to be sourced before a build
	PostTransaction  string // a shell command

	SignFile, MokSigningKey, MokCertificate, TrySignModules string

	Files []string // the files that were read, in order
}

// Framework reads /etc/dkms/framework.conf and /etc/dkms/framework.conf.d/*.conf, as read_framework_conf of dkms.in does.
// Values may contain $kernelver: give the kernel release where it is known, and "" where it is not, to read the settings
// that do not depend on it. Some settings default to the environment, see environmentDefaults. Loader.Vars are visible to
// the files, and dkms_tree and its like among them are defaults too. The Framework is shared and must not be changed.
func (l *Loader) Framework(ctx context.Context, kernel string) (*Framework, error) {
	preset := l.presets(nil)
	if kernel != "" {
		preset["kernelver"] = kernel
	}
	r := request{wanted: frameworkNames(), start: l.frameworkDefaults(), preset: preset}
	r.files = l.readExisting(l.frameworkPaths())
	for _, name := range r.wanted {
		delete(preset, name)
	}
	return remember(l, &l.frameworks, l.digest(r), func() (*Framework, error) {
		states, err := l.evaluate(ctx, r)
		if err != nil {
			return nil, err
		}
		values := r.start
		if len(states) > 0 {
			values = states[len(states)-1]
		}
		f := newFramework(values)
		for _, file := range r.files {
			f.Files = append(f.Files, file.path)
		}
		return f, nil
	})
}

// frameworkPaths lists the files in the order of bash's *.conf, which leaves out names with a leading dot.
func (l *Loader) frameworkPaths() []string {
	paths := []string{"/etc/dkms/framework.conf"}
	more, err := l.Root.Glob("/etc/dkms/framework.conf.d/*.conf")
	if err != nil {
		return paths
	}
	for _, abs := range more {
		if !strings.HasPrefix(path.Base(abs), ".") {
			paths = append(paths, abs)
		}
	}
	return paths
}

// environmentDefaults are the settings that upstream does not reset before it reads framework.conf, so that they can come
// from the environment.
func environmentDefaults() []string {
	return []string{
		"autoinstall_all_kernels", "modprobe_on_install", "parallel_jobs", "build_environment", "post_transaction",
		"sign_file", "mok_signing_key", "mok_certificate", "try_sign_modules",
	}
}

func (l *Loader) frameworkDefaults() variables {
	env := l.environment().values
	tmp := env["TMPDIR"]
	if tmp == "" {
		tmp = "/tmp"
	}
	v := variables{
		"source_tree":        {0: "/usr/src"},
		"dkms_tree":          {0: "/var/lib/dkms"},
		"install_tree":       {0: "/lib/modules"},
		"tmp_location":       {0: tmp},
		"verbose":            {0: ""},
		"symlink_modules":    {0: ""},
		"compress_gzip_opts": {0: ""},
		"compress_xz_opts":   {0: "--check=crc32 --lzma2=dict=1MiB"},
		"compress_zstd_opts": {0: "-q --rm -T0"},
		"continue_on_error":  {0: "true"},
	}
	for _, name := range environmentDefaults() {
		if value, ok := env[name]; ok {
			v.set(name, 0, value)
		}
	}
	for _, name := range frameworkNames() {
		if value, ok := l.Vars[name]; ok {
			v.set(name, 0, value)
		}
	}
	return v
}

func newFramework(v variables) *Framework {
	return &Framework{
		SourceTree:            v.first("source_tree"),
		DKMSTree:              v.first("dkms_tree"),
		InstallTree:           v.first("install_tree"),
		TmpLocation:           v.first("tmp_location"),
		Verbose:               v.first("verbose") != "",
		SymlinkModules:        v.first("symlink_modules") != "",
		AutoinstallAllKernels: v.first("autoinstall_all_kernels") != "",
		ModprobeOnInstall:     v.first("modprobe_on_install") != "",
		ContinueOnError:       v.first("continue_on_error") == "true",
		ParallelJobs:          v.first("parallel_jobs"),
		CompressGzip:          v.first("compress_gzip_opts"),
		CompressXz:            v.first("compress_xz_opts"),
		CompressZstd:          v.first("compress_zstd_opts"),
		BuildEnvironment:      v.first("build_environment"),
		PostTransaction:       v.first("post_transaction"),
		SignFile:              v.first("sign_file"),
		MokSigningKey:         v.first("mok_signing_key"),
		MokCertificate:        v.first("mok_certificate"),
		TrySignModules:        v.first("try_sign_modules"),
	}
}
