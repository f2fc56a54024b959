"""The questions, a file each: what is trained and measured for one, and the rules that make its answer."""
