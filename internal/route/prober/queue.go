package prober

// queue is questions by when they are due.
type queue []*asked

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push and Pop are heap's.
func (q *queue) Push(x any) {
	one, _ := x.(*asked)
	one.place = len(*q)
	*q = append(*q, one)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	one := (*q)[last]
	one.place = -1
	(*q)[last] = nil
	*q = (*q)[:last]
	return one
}
