package conf

import "context"

// MakeCommand returns the directive that says how to build for a kernel: MAKE[0] if it has no MAKE_MATCH, replaced by the
// last MAKE[n] whose MAKE_MATCH[n] matches the kernel. ok is false when there is none, and the generic make command is to
// be used. An invalid pattern matches nothing.
func (m *Module) MakeCommand(ctx context.Context, kernel string) (cmd string, ok bool, err error) {
	if m.values.at("MAKE_MATCH", 0) == "" {
		cmd = m.values.at("MAKE", 0)
	}
	for _, r := range m.Make {
		if r.Command == "" || r.Match == "" {
			continue
		}
		answer, err := m.loader.matches(ctx, kernel, r.Match)
		if err != nil {
			return "", false, err
		}
		if answer == matched {
			cmd = r.Command
		}
	}
	return cmd, cmd != "", nil
}

// PatchesFor returns the patches to apply for a kernel, in order: those without PATCH_MATCH and those whose PATCH_MATCH
// matches. An invalid pattern matches nothing.
func (m *Module) PatchesFor(ctx context.Context, kernel string) ([]string, error) {
	var files []string
	for _, p := range m.Patches {
		if p.File == "" {
			continue
		}
		if p.Match != "" {
			answer, err := m.loader.matches(ctx, kernel, p.Match)
			if err != nil {
				return nil, err
			}
			if answer != matched {
				continue
			}
		}
		files = append(files, p.File)
	}
	// Upstream overwrites its own array patch_array, which a file may have set, from the front.
	for _, i := range m.values.indexes("patch_array") {
		if i >= len(files) {
			files = append(files, m.values.at("patch_array", i))
		}
	}
	return files, nil
}
