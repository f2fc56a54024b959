from trainlab.exercise.questions.activations.trained import ALL, groups_by_activation
from trainlab.exercise.section import Answer, Section
SECTIONS = (Section("4", "4", "4", "", "", lambda e: Answer([str(len(groups_by_activation(e)))]), [ALL]),)
