"""Network name -> classifier with its pooled features."""
