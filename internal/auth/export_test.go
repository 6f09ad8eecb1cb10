package auth

// Remembered counts the users and addresses whose failures are kept.
func Remembered(s *Service) int {
	s.tries.mu.Lock()
	defer s.tries.mu.Unlock()
	return len(s.tries.failures)
}
