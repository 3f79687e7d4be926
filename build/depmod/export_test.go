package depmod

// Command is what Index would run.
func (x *Indexer) Command(release string) ([]string, error) { return x.command(release) }
