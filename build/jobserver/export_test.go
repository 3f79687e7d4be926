package jobserver

// Hurried is how many calls of Acquire wait.
func (s *Server) Hurried() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hurried
}
