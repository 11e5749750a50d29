"""One page that shows a results folder: answer, tables with the origin of each number, figures, and the images."""
