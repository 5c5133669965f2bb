"""What any controller needs: work queue, scheduler, leadership; knows no Certificate."""
