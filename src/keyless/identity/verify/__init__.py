"""Walk the chain on live facts and name the broken link."""
