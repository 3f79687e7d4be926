package depmod

import (
	"context"
	"fmt"
	"path"
)

// Publish writes the files of the index.
func (x *Index) Publish(ctx context.Context) error {
	for _, f := range x.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := x.root.Replace(path.Join(x.dir, f.Name), 0o644, f.WriteTo); err != nil {
			return fmt.Errorf("write index %q: %w", f.Name, err)
		}
	}
	return nil
}
