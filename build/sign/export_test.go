package sign

// SmallKeys has a request make keys that are quickly made.
func SmallKeys(r Request) Request { r.bits = 1024; return r }
